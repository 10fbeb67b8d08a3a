"""Post-train the standard 2.5B base on annotated TULU3: the ablation of the paper, C.4.

One epoch of 939,343 conversations, about 128 a step. About 8 GPU-hours of H100s. As
sft_2500m_anchored.py, but from a base that never saw an annotation, and annotations are trained.

  torchrun --nproc-per-node=8 train_configs/sft_2500m_anchored_from_standard.py \
      --tokens data/tulu3/tokens --overlay data/tulu3/overlay \
      --load-path runs/2500m-standard --save-folder runs/2500m-sft-anchored-from-standard
"""

from __future__ import annotations

import full_size

from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.post_training(inputs, "2500M", annotations=True, policy=MaskPolicy.unmasked)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
