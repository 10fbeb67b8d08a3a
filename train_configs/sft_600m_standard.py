"""Post-train the standard 0.6B base on TULU3, as usual: the response is trained.

One epoch of 939,343 conversations, about 128 a step. About 2 GPU-hours of H100s. The siblings,
sft_600m_anchored.py and sft_600m_anchored_from_standard.py, see the same conversations in the same
steps.

  torchrun --nproc-per-node=8 train_configs/sft_600m_standard.py \
      --tokens data/tulu3/tokens --overlay data/tulu3/overlay \
      --load-path runs/600m-standard --save-folder runs/600m-sft-standard
"""

from __future__ import annotations

import full_size

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.post_training(inputs, "600M", annotations=False)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
