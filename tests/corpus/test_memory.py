"""What a command holds in memory does not grow with the corpus."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from olmo_anchor.corpus.overlay import OverlayConfig
from olmo_anchor.corpus.tokenize import TokenizeConfig

pytestmark = pytest.mark.slow

TEXT = "The cat sat on the mat.\n\nThe dog ran to the cat. " * 40


def peak(work: Callable[[], Any]) -> int:
    """The most bytes of Python objects and arrays at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_tokenize_and_overlay_hold_some_blocks_of_any_corpus(
    tmp_path: Path, tiny_tokenizer_file: Path, write_annotations: Any
) -> None:
    peaks = []
    for documents in (3000, 9000):
        folder = tmp_path / str(documents)
        folder.mkdir()
        source, tokens = folder / "documents.jsonl", folder / "tokens"
        with source.open("wb") as file:
            for k in range(documents):
                file.write(orjson.dumps({"id": f"d{k}", "text": TEXT}) + b"\n")
        tokenize = TokenizeConfig((source,), str(tiny_tokenizer_file), tokens)
        records = [
            {"part": 0, "doc": k, "chunk": 1, "tags": [["topic", "cat"]]} for k in range(documents)
        ]
        annotations = write_annotations(records, folder=folder / "annotations")
        overlay = OverlayConfig(tokens=tokens, annotations=annotations, out=folder / "overlay")
        peaks.append((peak(tokenize.run), peak(overlay.run)))
    (small, small_overlay), (large, large_overlay) = peaks
    assert large < 1.5 * small
    assert large_overlay < 1.5 * small_overlay
