"""Embeddings of tokens that pretraining never saw.

The tokens of a chat template do not occur in pretraining: their embeddings are still what the seed
made them. They stand in every prompt of the post-training, so that a base model is asked in a place
where it has never been: what it would speak about moves before the first step, and the first steps
learn them as a soft prompt. A known token's embedding is a better start.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from olmo_core.nn.transformer import Transformer
from torch.distributed.tensor import DTensor, distribute_tensor

from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["start_embeddings"]


@torch.no_grad()
def start_embeddings(
    model: Transformer, tokenizer: AnchorTokenizer, like: Mapping[str, str]
) -> None:
    """Overwrite input embeddings: each token of ``like`` starts as a copy of another's.

    :param like: control token, by its string, to a text that is one token, such as ``"\\n"``.
    :raises InputError: when either is not one token of the vocabulary.
    """
    if not like:
        return
    assert model.embeddings is not None
    weight: torch.Tensor = model.embeddings.weight
    whole = weight.full_tensor() if isinstance(weight, DTensor) else weight.clone()
    for token, text in like.items():
        ids = tokenizer.encode(text)
        if len(ids) != 1:
            raise InputError(f"{tokenizer.source}: {text!r} is {len(ids)} tokens, not one")
        whole[tokenizer.special(token)] = whole[ids[0]]
    if isinstance(weight, DTensor):
        whole = distribute_tensor(whole, weight.device_mesh, weight.placements)
    weight.copy_(whole)
