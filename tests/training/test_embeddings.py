"""Tokens that the weights never saw start as copies of known ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from olmo_core.nn.transformer import Transformer
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.embeddings import start_embeddings
from olmo_anchor.training.models import olmo2_like

LIKE = {"<|im_start|>": "\n", "<|im_end|>": ":"}


def a_model(vocab_size: int) -> Transformer:
    model = olmo2_like(d_model=16, n_layers=1, n_heads=2, vocab_size=vocab_size).build()
    model.init_weights()
    return model


def check(before: torch.Tensor, after: torch.Tensor, tokenizer: AnchorTokenizer) -> None:
    start, end = tokenizer.special("<|im_start|>"), tokenizer.special("<|im_end|>")
    assert torch.equal(after[start], before[tokenizer.control.newline])
    assert torch.equal(after[end], before[tokenizer.control.colon])
    others = [i for i in range(len(before)) if i not in (start, end)]
    assert torch.equal(after[others], before[others])


def test_only_the_named_rows_change(tiny: AnchorTokenizer) -> None:
    model = a_model(tiny.vocab_size)
    assert model.embeddings is not None
    before = model.embeddings.weight.detach().clone()
    start_embeddings(model, tiny, {})
    assert torch.equal(model.embeddings.weight, before)
    start_embeddings(model, tiny, LIKE)
    check(before, model.embeddings.weight.detach(), tiny)


def test_sharded_weights_too(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        model = a_model(tiny.vocab_size)
        assert model.embeddings is not None
        before = model.embeddings.weight.detach().clone()
        fully_shard(model, mesh=dist.init_device_mesh("cpu", (1,)))
        start_embeddings(model, tiny, LIKE)
        weight = model.embeddings.weight
        assert isinstance(weight, DTensor)
        check(before, weight.full_tensor().detach(), tiny)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize(
    ("like", "message"),
    [({"<|no|>": "\n"}, "<|no|>"), ({"<|im_end|>": "a b c"}, "tokens, not one")],
)
def test_what_is_no_token_is_named(
    tiny: AnchorTokenizer, like: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError) as error:
        start_embeddings(a_model(tiny.vocab_size), tiny, like)
    assert message in str(error.value)
