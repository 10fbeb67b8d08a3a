"""Post-train the standard 1B base on TULU3, as usual: the response is trained.

One epoch of 939,343 conversations, about 128 a step. About 4 GPU-hours of H100s. The siblings,
sft_1b_anchored.py and sft_1b_anchored_from_standard.py, see the same conversations in the same
steps.

  torchrun --nproc-per-node=8 train_configs/sft_1b_standard.py \
      --tokens data/tulu3/tokens --overlay data/tulu3/overlay \
      --load-path runs/1b-standard --save-folder runs/1b-sft-standard
"""

from __future__ import annotations

import full_size

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.post_training(inputs, "1B", annotations=False)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
