"""Post-train the annotated 1B base on TULU3, anchored: annotations are read, not trained.

One epoch of 939,343 conversations, about 128 a step. About 4 GPU-hours of H100s. As
sft_1b_standard.py in conversations, steps and learning rate. In 0.3 % of the conversations only
the values are masked (paper, C.3).

  torchrun --nproc-per-node=8 train_configs/sft_1b_anchored.py \
      --tokens data/tulu3/tokens --overlay data/tulu3/overlay \
      --load-path runs/1b-annotated --save-folder runs/1b-sft-anchored
"""

from __future__ import annotations

import full_size

from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.post_training(inputs, "1B", annotations=True, policy=MaskPolicy.anchored)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
