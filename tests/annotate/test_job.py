"""The job: stopped and resumed it gives the same file; workers do not change it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.annotate.base import Chunk, Outcome
from olmo_anchor.annotate.job import AnnotateConfig
from olmo_anchor.annotate.keyword import KeywordAnnotator
from olmo_anchor.errors import InputError

pytest.importorskip("yake", reason="the extra `annotate` is not installed")

TEXTS = [f"The captain met Anne Bonny at harbour {k}.\n\nA storm came." for k in range(30)]


def annotate(tokens: Path, out: Path, **options: Any) -> Any:
    return AnnotateConfig(tokens=tokens, annotator="keyword", out=out, **options).run()


@pytest.mark.parametrize(("batch_chars", "kept"), [(1, 23), (100, 20)])
def test_a_job_that_was_killed_ends_as_if_it_had_not_been(
    tokenize: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_chars: int, kept: int
) -> None:
    monkeypatch.setattr(KeywordAnnotator, "batch_chars", batch_chars)
    tokens = tokenize(TEXTS)
    whole = annotate(tokens, tmp_path / "whole")
    out = tmp_path / "annotations"
    one = KeywordAnnotator.annotate

    def stop_in_the_middle(self: KeywordAnnotator, chunks: Sequence[Chunk]) -> Sequence[Outcome]:
        # With one chunk in a batch: in the middle of a document.
        if (chunks[-1].doc, chunks[-1].chunk) >= (11, 1):
            raise KeyboardInterrupt
        return one(self, chunks)

    monkeypatch.setattr(KeywordAnnotator, "annotate", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        annotate(tokens, out)
    monkeypatch.setattr(KeywordAnnotator, "annotate", one)
    done = (out / "annotations.jsonl").read_bytes()
    assert done.count(b"\n") == kept
    # A batch that was written and not journalled, and a torn line.
    (out / "annotations.jsonl").write_bytes(done + done.splitlines(True)[-1] + b'{"part": 0, "do')

    with pytest.raises(InputError, match="--resume finishes it"):
        annotate(tokens, out)
    with pytest.raises(InputError, match=r"other settings or inputs \(min_chunk_tokens\)"):
        annotate(tokens, out, resume=True, min_chunk_tokens=4)
    resumed = annotate(tokens, out, resume=True)
    assert resumed.counts == whole.counts
    path = "annotations.jsonl"
    assert (out / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()
    assert annotate(tokens, out, resume=True).hash == resumed.hash
    assert not (out / "journal.jsonl").exists()


@pytest.mark.slow
def test_workers_do_not_change_the_result(
    tokenize: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeywordAnnotator, "batch_chars", 200)
    tokens = tokenize(TEXTS)
    annotate(tokens, tmp_path / "one")
    annotate(tokens, tmp_path / "two", workers=2)
    one, two = (tmp_path / name / "annotations.jsonl" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_limit_counts_documents(tokenize: Any, tmp_path: Path) -> None:
    manifest = annotate(tokenize(TEXTS), tmp_path / "annotations", limit=4)
    assert manifest.counts["chunks"] == 8


def test_short_chunks_are_joined_and_the_overlay_is_told(tokenize: Any, tmp_path: Path) -> None:
    manifest = annotate(tokenize(TEXTS), tmp_path / "annotations", min_chunk_tokens=1000)
    assert manifest.counts["chunks"] == 30
    assert manifest.extra["min_chunk_tokens"] == 1000
