"""Reading a TOKENS_DIR in blocks, and the cheap check of a file's contents."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from olmo_anchor.corpus.token_files import sampled_sha256
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30),
    block=st.integers(1, 40),
    first=st.integers(0, 29),
)
def test_blocks_are_whole_documents_in_order(
    lengths: list[int],
    block: int,
    first: int,
    write_tokens: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    documents = [[k % 200] * length for k, length in enumerate(lengths)]
    masks = [[k % 2 == 0] * length for k, length in enumerate(lengths)]
    folder = tmp_path_factory.mktemp("any") / "tokens"
    part = TokensDir.open(write_tokens([documents], [masks], folder=folder)).parts[0]
    found, numbers = [], []
    for one in part.blocks(first, block):
        assert len(one.ids) <= max(block, max(lengths))
        for k in range(len(one)):
            ids, mask = one.document(k)
            assert mask is not None
            assert mask.tolist() == masks[one.first + k]
            assert one.names[k] == f"doc-0-{one.first + k}"
            found.append(ids.tolist())
            numbers.append(one.first + k)
    assert found == documents[first:]
    assert numbers == list(range(first, len(documents)))


def test_numbers_run_over_all_parts(write_tokens: Any) -> None:
    tokens = TokensDir.open(write_tokens([[[1], [2]], [[3], [4], [5]]]))
    assert [(part.index, index) for part, index in map(tokens.locate, range(5))] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (1, 2),
    ]
    assert tokens.documents_before == [0, 2, 5]
    with pytest.raises(InputError, match="holds 5 documents"):
        tokens.locate(5)


def test_names_are_optional(write_tokens: Any) -> None:
    folder = write_tokens([[[1, 2], [3]]])
    with gzip.open(folder / "token_ids_part_0000.csv.gz", "wt") as file:
        file.write('0,2\n2,3,"a, b"\n')
    (block,) = TokensDir.open(folder).parts[0].blocks()
    assert block.names == [None, "a, b"]


def test_conversations_have_masks(write_tokens: Any) -> None:
    folder = write_tokens([[[1, 2], [3]]])
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    manifest["extra"]["chat"] = True
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(InputError, match="without label masks"):
        TokensDir.open(folder)
    manifest["extra"]["chat"] = False
    del manifest["extra"]["dtype"]
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(InputError, match="'dtype' is missing"):
        TokensDir.open(folder)


def test_a_mask_of_another_length_is_refused(write_tokens: Any) -> None:
    folder = write_tokens([[[1, 2], [3]]], [[[1, 1], [0]]])
    np.ones(4, bool).tofile(folder / "labels_mask_part_0000.npy")
    with pytest.raises(InputError, match="holds 4 flags for 3 tokens"):
        TokensDir.open(folder)


class TestSampledHash:
    @pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
    def test_tells_sizes_and_sampled_contents_apart(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "file"
        path.write_bytes(bytes(size))
        before = sampled_sha256(path)
        assert before == sampled_sha256(path)
        path.write_bytes(bytes(size + 1))
        assert sampled_sha256(path) != before
        if size:
            for position in (0, size - 1):
                changed = bytearray(size)
                changed[position] = 1
                path.write_bytes(changed)
                assert sampled_sha256(path) != before
