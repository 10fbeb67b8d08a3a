"""Post-train the small annotated base on real instructions, anchored: annotations are read only.

As small_sft_standard.py in everything but the annotation before each response, the mask policy, and
the base it starts from: the same conversations, steps, batches and learning rate.

  python train_configs/small_sft_anchored.py --tokens CHAT --overlay CHAT_OVERLAY \
      --load-path RUN_OF_SMALL_BASE_ANNOTATED --save-folder RUN
"""

from __future__ import annotations

import small_sft_standard

from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs, lay_in_annotations


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return lay_in_annotations(small_sft_standard.build(inputs), MaskPolicy.anchored)


if __name__ == "__main__":
    main(build, __doc__)
