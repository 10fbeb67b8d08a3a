"""Pretrain the 0.6B model on the corpus alone.

12 billion tokens (paper, A.2) of the nine sources in data_prep/pretraining_mixture.yaml, or of any
TOKENS_DIR. About 35 GPU-hours of H100s. The sibling, pretrain_600m_annotated.py, differs in the
annotations alone.

  torchrun --nproc-per-node=8 train_configs/pretrain_600m_standard.py \
      --tokens data_prep/pretraining_mixture.yaml --save-folder runs/600m-standard
"""

from __future__ import annotations

import full_size

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.pretraining(inputs, "600M", annotations=False)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
