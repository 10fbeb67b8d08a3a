"""Pretrain the standard base of the story world: the corpus alone.

0.69 M parameters in OLMo 2's architecture, 2 M tokens, one document per row, eight rows a batch:
about three minutes on one CPU thread. Other sizes are in story_sizes.py (--size xs, s, m, l; 20M,
60M, 150M for a GPU). Its sibling is story_base_annotated.py.

Without weight decay: it keeps the probability of impossible words, wherever the text leaves a
choice, about twice as high (0.17 instead of 0.08 such words a story), and small worlds have many
choices.

  python train_configs/story_base_standard.py --tokens TOKENS --overlay OVERLAY --save-folder RUN
"""

from __future__ import annotations

from olmo_core.optim import CosWithWarmup
from story_sizes import size_of

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs, adamw, experiment

SEQUENCE_LENGTH = 192


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    size = size_of(inputs)
    return experiment(
        inputs,
        model=size.model(inputs.vocab_size),
        optim=adamw(lr=8e-3 * size.scale, weight_decay=0.0),
        scheduler=CosWithWarmup(warmup=50, alpha_f=0.0),
        sequence_length=SEQUENCE_LENGTH,
        rows=size.rows,
        max_tokens=inputs.budget or size.tokens,
        annotations=False,
        group_by_length=True,
    )


if __name__ == "__main__":
    main(build, __doc__)
