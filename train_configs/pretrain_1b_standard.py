"""Pretrain the 1B model on the corpus alone.

20 billion tokens (paper, A.2) of the nine sources in data_prep/pretraining_mixture.yaml, or of any
TOKENS_DIR. About 120 GPU-hours of H100s. The sibling, pretrain_1b_annotated.py, differs in the
annotations alone.

  torchrun --nproc-per-node=8 train_configs/pretrain_1b_standard.py \
      --tokens data_prep/pretraining_mixture.yaml --save-folder runs/1b-standard
"""

from __future__ import annotations

import full_size

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.pretraining(inputs, "1B", annotations=False)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
