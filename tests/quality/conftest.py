"""Annotations that real commands make from a few hand-written ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.annotate.job import AnnotateConfig
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.cli import cli
from tests.annotate.conftest import records, tokenize, write_lines

__all__ = ["Run", "records", "tokenize", "write_lines"]

Run = Callable[..., str]
Tags = Sequence[tuple[str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("stats", DIR, ...)``: what ``olmo-anchor annotations stats DIR ...`` prints."""

    def call(*arguments: Any, columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        cli.main(["annotations", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return call


@pytest.fixture
def annotate(tmp_path: Path, write_lines: Any) -> Callable[..., Path]:
    """``annotate(tokens, {(doc, chunk): tags}, "name")``: an ANNOTATIONS_DIR."""

    def make(
        tokens: Path, given: dict[tuple[int, int], Tags], name: str = "annotations", **options: Any
    ) -> Path:
        lines = [
            {"id": f"doc-{doc}", "chunk": chunk, "tags": list(map(list, tags))}
            for (doc, chunk), tags in given.items()
        ]
        path = write_lines(f"{name}.jsonl", lines)
        schema = options.pop("schema", None)
        annotator = AnnotatorConfig(name="file", annotations=path, schema=schema)
        out = tmp_path / name
        AnnotateConfig(tokens=tokens, annotator=annotator, out=out, **options).run()
        return out

    return make
