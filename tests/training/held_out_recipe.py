"""story_sft_anchored with drift measured: on its own conversations, as these are few."""

from __future__ import annotations

import sys
from pathlib import Path

from olmo_anchor.training.drift import AnchorDriftCallbackConfig
from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs

sys.path.insert(0, str(Path(__file__).parents[2] / "train_configs"))


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    import story_sft_anchored

    config = story_sft_anchored.build(inputs)
    config.trainer.callbacks["drift"] = AnchorDriftCallbackConfig(
        dataset=config.copy().dataset, interval=5, max_documents=11, chunk=7
    )
    return config


if __name__ == "__main__":
    main(build, __doc__)
