"""The baseline of anneal_olmo2_1b_annotated.py: OLMo 2 1B, trained on the same text without
annotations.

4 billion tokens (--budget takes other numbers) from allenai/OLMo-2-0425-1B, which is downloaded,
or from a folder that --load-path names. About 24 GPU-hours of H100s. Then post-train it with
sft_1b_standard.py.

  torchrun --nproc-per-node=8 train_configs/anneal_olmo2_1b_standard.py \
      --tokens data_prep/pretraining_mixture.yaml --save-folder runs/olmo2-1b-standard
"""

from __future__ import annotations

import full_size

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return full_size.annealing(inputs, annotations=False)


if __name__ == "__main__":
    main(build, __doc__, gpus=full_size.GPUS)
