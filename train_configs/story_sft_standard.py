"""Post-train the standard base of the story world on conversations of five topics in one style.

200 steps of eight conversations, ten seconds on one CPU thread. A large Adam epsilon keeps
parameters with small gradients where pretraining left them.

Embeddings are frozen. Those of the chat template's tokens were never trained in pretraining and
stand in every conversation: they would be learned as a soft prompt, which moves what stands after
them, masked or not (prior KL 3.4 bits instead of 0.04). Its sibling is story_sft_anchored.py.

  python train_configs/story_sft_standard.py --tokens CHAT --overlay CHAT_OVERLAY \
      --load-path RUN_OF_STORY_BASE_STANDARD --save-folder RUN
"""

from __future__ import annotations

from dataclasses import replace

import story_base_standard
from olmo_core.optim.scheduler import LinearWithWarmup
from olmo_core.train import Duration

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs, adamw, experiment


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return experiment(
        inputs,
        model=replace(story_base_standard.model(inputs), freeze_params=["embeddings.*"]),
        optim=adamw(lr=1e-3, weight_decay=0.0, eps=1e-4),
        scheduler=LinearWithWarmup(warmup=0, alpha_f=0.0),
        sequence_length=story_base_standard.SEQUENCE_LENGTH,
        rows=8,
        duration=Duration.steps(200),
        annotations=False,
    )


if __name__ == "__main__":
    main(build, __doc__)
