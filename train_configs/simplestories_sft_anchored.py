"""Post-train the annotated 2.5B base on a controlled subset of SimpleStories, anchored.

The controlled study (paper, 5.4 and F): about 200,000 stories of 5, 14 or 48 topics, or of 8, 12
or 23 personas; --tokens chooses the subset that `make data CORPUS=simplestories` wrote. About one
GPU-hour of H100s for each. The sibling is simplestories_sft_standard.py.

  torchrun --nproc-per-node=8 train_configs/simplestories_sft_anchored.py \
      --tokens data/simplestories/topic-5/tokens --overlay data/simplestories/topic-5/overlay \
      --load-path runs/2500m-annotated --save-folder runs/simplestories-topic-5-anchored
"""

from __future__ import annotations

import full_size

from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.post_training(
        inputs,
        "2500M",
        annotations=True,
        policy=MaskPolicy.anchored,
        expected=full_size.SIMPLESTORIES,
    )


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
