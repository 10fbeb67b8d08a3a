"""Pretrain the standard base of the story world: the corpus alone.

0.66 M parameters in OLMo 2's architecture, 2 M tokens, one document per row, eight rows a batch:
about three minutes on one CPU thread. Its sibling is story_base_annotated.py.

Without weight decay: it keeps the probability of impossible words, wherever the text leaves a
choice, about twice as high (0.17 instead of 0.08 such words a story), and small worlds have many
choices.

  python train_configs/story_base_standard.py --tokens TOKENS --overlay OVERLAY --save-folder RUN
"""

from __future__ import annotations

from olmo_core.nn.transformer import TransformerConfig
from olmo_core.optim import CosWithWarmup

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import (
    AnchoredExperimentConfig,
    Inputs,
    adamw,
    experiment,
    olmo2_like,
)

SEQUENCE_LENGTH = 192


def model(inputs: Inputs) -> TransformerConfig:
    return olmo2_like(
        d_model=128,
        n_layers=3,
        n_heads=4,
        hidden_size_multiplier=0.75,
        vocab_size=inputs.vocab_size,
    )


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return experiment(
        inputs,
        model=model(inputs),
        optim=adamw(lr=8e-3, weight_decay=0.0),
        scheduler=CosWithWarmup(warmup=50, alpha_f=0.0),
        sequence_length=SEQUENCE_LENGTH,
        rows=8,
        max_tokens=2_000_000,
        annotations=False,
        group_by_length=True,
    )


if __name__ == "__main__":
    main(build, __doc__)
