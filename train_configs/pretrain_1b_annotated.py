"""Pretrain the 1B model on the annotated corpus: an annotation before every chunk, trained too.

20 billion tokens (paper, A.2) of the nine sources in data_prep/pretraining_mixture.yaml, or of any
TOKENS_DIR. About 120 GPU-hours of H100s. As pretrain_1b_standard.py, token for token as long:
annotations replace content.

  torchrun --nproc-per-node=8 train_configs/pretrain_1b_annotated.py \
      --tokens data_prep/pretraining_mixture.yaml --save-folder runs/1b-annotated
"""

from __future__ import annotations

import full_size

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.pretraining(inputs, "1B", annotations=True)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
