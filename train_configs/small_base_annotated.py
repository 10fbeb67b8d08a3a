"""Pretrain a small annotated base on real prose: an annotation before every chunk, trained too.

As small_base_standard.py in everything but the annotations: the same corpus, the same number of
tokens (annotations count), the same cost.

  python train_configs/small_base_annotated.py --tokens TOKENS --overlay OVERLAY --save-folder RUN
"""

from __future__ import annotations

import small_base_standard

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs, lay_in_annotations


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return lay_in_annotations(small_base_standard.build(inputs))


if __name__ == "__main__":
    main(build, __doc__)
