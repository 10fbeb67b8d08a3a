"""Post-train the small standard base on real instructions.

60 steps of four conversations, one per row of 512 tokens; longer ones are cut at their end. Its
sibling is small_sft_anchored.py.

  python train_configs/small_sft_standard.py --tokens CHAT --overlay CHAT_OVERLAY \
      --load-path RUN_OF_SMALL_BASE_STANDARD --save-folder RUN
"""

from __future__ import annotations

import small_base_standard
from olmo_core.optim.scheduler import LinearWithWarmup
from olmo_core.train import Duration

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs, adamw, experiment


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return experiment(
        inputs,
        model=small_base_standard.model(inputs),
        optim=adamw(lr=5e-4, weight_decay=0.0, eps=1e-4),
        scheduler=LinearWithWarmup(warmup=0, alpha_f=0.0),
        sequence_length=512,
        rows=4,
        duration=Duration.steps(60),
        annotations=False,
        refuse_long=True,
        log_interval=10,
    )


if __name__ == "__main__":
    main(build, __doc__)
