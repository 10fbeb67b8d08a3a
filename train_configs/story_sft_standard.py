"""Post-train the standard base of the story world on conversations of five topics in one style.

200 steps of eight conversations, ten seconds on one CPU thread. A large Adam epsilon keeps
parameters with small gradients where pretraining left them. --size is that of the base. Its sibling
is story_sft_anchored.py.

The conversations are laid out as the documents of pretraining (tokenize --layout plain).

  python train_configs/story_sft_standard.py --tokens CHAT --overlay CHAT_OVERLAY \
      --load-path RUN_OF_STORY_BASE_STANDARD --save-folder RUN
"""

from __future__ import annotations

import story_base_standard
from olmo_core.optim.scheduler import LinearWithWarmup
from olmo_core.train import Duration
from story_sizes import size_of

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs, adamw, experiment


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    size = size_of(inputs)
    return experiment(
        inputs,
        model=size.model(inputs.vocab_size),
        optim=adamw(lr=2e-3 * size.scale, weight_decay=0.0, eps=size.eps),
        scheduler=LinearWithWarmup(warmup=0, alpha_f=0.0),
        sequence_length=story_base_standard.SEQUENCE_LENGTH,
        rows=8,
        duration=Duration.steps(200),
        annotations=False,
        refuse_long=True,
    )


if __name__ == "__main__":
    main(build, __doc__)
