"""The sizes of the story world's model: one world, the same stories, another model.

No recipe itself: story_*.py take ``--size``. Both arms of a comparison name the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from olmo_core.nn.transformer import TransformerConfig

from olmo_anchor.errors import InputError
from olmo_anchor.training.recipes import Inputs, olmo2_like

HEAD = 32  # vLLM's CPU kernels refuse 16


@dataclass(frozen=True)
class Size:
    """:param scale: learning rates are those of ``s`` times this: parameters to the power of -1/3,
        OLMo-core's model ladder.
    :param eps: of Adam in post-training. A gradient is spread over all parameters: what is small
        beside one falls with the root of their number.
    :param tokens: of pretraining.
    :param rows: stories in a batch of pretraining.
    """

    d_model: int
    n_layers: int
    scale: float
    eps: float
    head: int = HEAD
    tokens: int = 2_000_000
    rows: int = 8

    def model(self, vocab_size: int) -> TransformerConfig:
        return olmo2_like(
            d_model=self.d_model,
            n_layers=self.n_layers,
            n_heads=self.d_model // self.head,
            hidden_size_multiplier=0.75,
            vocab_size=vocab_size,
        )


# In comments: parameters with the world's vocabulary.
SIZES = {
    "xs": Size(64, 2, scale=1.4, eps=1.7e-4),  # 0.23 M
    "s": Size(128, 3, scale=1.0, eps=1e-4),  # 0.69 M
    "m": Size(192, 4, scale=0.7, eps=6e-5),  # 2.1 M
    "l": Size(256, 8, scale=0.5, eps=3.5e-5),  # 5.6 M
    # For a GPU: ten times the stories (study world --documents), in batches that fill it.
    "20M": Size(512, 8, scale=0.33, eps=1.9e-5, head=64, tokens=20_000_000, rows=64),
    "60M": Size(768, 10, scale=0.22, eps=1.1e-5, head=64, tokens=20_000_000, rows=64),
    "150M": Size(1024, 15, scale=0.17, eps=7e-6, head=64, tokens=20_000_000, rows=64),
}


def size_of(inputs: Inputs) -> Size:
    """The size that the command line names, or else the demo's.

    :raises InputError: when there is none of that name.
    """
    try:
        return SIZES[inputs.size or "s"]
    except KeyError:
        raise InputError(f"--size {inputs.size}: the sizes are {', '.join(SIZES)}") from None
