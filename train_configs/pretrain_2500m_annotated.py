"""Pretrain the 2.5B model on the annotated corpus: an annotation before every chunk, trained too.

50 billion tokens (paper, A.2) of the nine sources in data_prep/pretraining_mixture.yaml, or of any
TOKENS_DIR. About 590 GPU-hours of H100s (the paper, A.4: 2 days of 8). As
pretrain_2500m_standard.py, token for token as long: annotations replace content.

  torchrun --nproc-per-node=8 train_configs/pretrain_2500m_annotated.py \
      --tokens data_prep/pretraining_mixture.yaml --save-folder runs/2500m-annotated
"""

from __future__ import annotations

import full_size

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.pretraining(inputs, "2500M", annotations=True)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
