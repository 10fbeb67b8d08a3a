"""What a source costs at its start does not grow with the corpus: bytes read and memory held."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from olmo_core.data import TokenizerConfig

from olmo_anchor.corpus.tokens import sampled_sha256
from olmo_anchor.manifest import read_manifest
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.instances import PaddedInstanceSourceConfig
from olmo_anchor.training.source import InterleavedDocumentSourceConfig
from tests.training.folders import write_overlay, write_tokens

READ = Path("/proc/self/io")
SPAN, CHUNK = 1 << 13, 1 << 10
"""Tokens of a document, and of each of its annotated chunks."""


def corpus_of(
    folder: Path, documents: int, tiny: AnchorTokenizer
) -> InterleavedDocumentSourceConfig:
    """A token file that is a hole on disk, and an overlay with an annotation on every chunk."""
    one = [[0] * (SPAN - 1) + [tiny.control.end_of_text]]
    z = [tiny.control.open, 30, tiny.control.close]
    tokens = write_tokens(folder / "tokens", [one], tiny)
    overlay = write_overlay(folder / "overlay", tokens, [one], [{0: z}], tiny)

    file = tokens / "token_ids_part_0000.npy"
    with file.open("r+b") as opened:
        opened.truncate(2 * SPAN * documents)
    starts = np.arange(0, SPAN * documents + 1, CHUNK, dtype="<i8")
    ids = np.array(z * (len(starts) - 1), "<u4")
    positions = starts + len(z) * np.arange(len(starts))
    docs = starts[:: SPAN // CHUNK]
    arrays = {"ids": ids, "starts": starts, "positions": positions, "docs": docs}
    manifest = read_manifest(tokens, "tokens")
    entry = manifest.extra["parts"][0]
    entry.update(tokens=SPAN * documents, documents=documents)
    entry["ids"]["size"] = file.stat().st_size
    manifest.write(tokens)
    manifest = read_manifest(overlay, "overlay")
    entry = manifest.extra["parts"][0]
    for name, array in arrays.items():
        array.tofile(overlay / entry[name]["path"])
        entry[name]["size"] = array.nbytes
    entry["token_file"].update(size=file.stat().st_size, sampled_sha256=sampled_sha256(file))
    manifest.write(overlay)
    return InterleavedDocumentSourceConfig(str(tokens), str(overlay))


class Cost:
    read = held = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Bytes read with system calls, and the most memory that Python and numpy held."""
    cost = Cost()
    tracemalloc.start()
    before = _bytes_read()
    try:
        yield cost
        cost.read, cost.held = _bytes_read() - before, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _bytes_read() -> int:
    return int(READ.read_text().split()[1])


@pytest.mark.skipif(not READ.exists(), reason="counts the bytes read in /proc/self/io")
def test_start_and_reading_cost_the_same_for_any_corpus(
    tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    costs = []
    for documents in (64, 1 << 18):
        config = corpus_of(tmp_path / str(documents), documents, tiny)
        with measured() as cost:
            (source,) = config.build(tmp_path)
            for begin in (0, source.num_tokens // 2, source.num_tokens - 4096):
                ids = np.asarray(source.get_token_range(begin, begin + 4096)["input_ids"])
                assert np.isin(ids, tiny.control.open).sum() >= 3
            first = list(islice(source.get_document_offsets(), 64))
        assert first[-1][1] - first[0][0] == 64 * (SPAN + 3 * SPAN // CHUNK)
        costs.append(cost)
    small, large = costs
    # The large corpus has 4 GiB of tokens on paper and 58 MiB of indexes; offsets come in blocks of
    # 65 536 documents.
    assert source.num_tokens > 1 << 31
    assert large.read < small.read + (1 << 20)
    assert large.held < small.held + (8 << 20)


@pytest.mark.skipif(not READ.exists(), reason="counts the bytes read in /proc/self/io")
def test_an_index_of_padded_instances_reads_no_tokens(
    tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    documents = 1 << 14
    config = corpus_of(tmp_path, documents, tiny)
    tokenizer = TokenizerConfig(
        vocab_size=tiny.vocab_size,
        eos_token_id=tiny.control.end_of_text,
        pad_token_id=tiny.pad_id,
    )
    with measured() as cost:
        dataset = PaddedInstanceSourceConfig([config], SPAN, tokenizer).build(tmp_path)
        assert len(dataset) == documents
    # Of 256 MiB of tokens.
    assert cost.read < 4 << 20
