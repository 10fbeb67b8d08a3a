"""Corpora that `olmo-anchor tokenize` itself makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from olmo_anchor.corpus.tokenize import TokenizeConfig

Tokenize = Callable[..., Path]


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[[str, Sequence[dict[str, Any] | bytes]], Path]:
    def write(name: str, records: Sequence[dict[str, Any] | bytes]) -> Path:
        path = tmp_path / name
        lines = [r if isinstance(r, bytes) else orjson.dumps(r) for r in records]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write


@pytest.fixture
def tokenize(tmp_path: Path, tiny_tokenizer_file: Path, write_lines: Any) -> Tokenize:
    """``tokenize(texts)``, or ``tokenize(conversations, chat=True)``: a TOKENS_DIR."""

    def make(documents: Sequence[Any], **options: Any) -> Path:
        key = "messages" if options.get("chat") else "text"
        records = [{"id": f"doc-{k}", key: document} for k, document in enumerate(documents)]
        path = write_lines("documents.jsonl", records)
        out = tmp_path / "tokens"
        TokenizeConfig((path,), tokenizer=str(tiny_tokenizer_file), out=out, **options).run()
        return out

    return make


def records(folder: Path) -> list[dict[str, Any]]:
    """All records of an ANNOTATIONS_DIR, in order."""
    whole = b"".join(
        zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
        for path in sorted((folder / "records").iterdir())
    )
    return [orjson.loads(line) for line in whole.splitlines()]


def asked(body: dict[str, Any]) -> str:
    """The passage that a prompt ends with."""
    content: str = body["messages"][-1]["content"]
    return content.rsplit("<passage>\n", 1)[1].removesuffix("\n</passage>")


def topic_of(body: dict[str, Any]) -> str:
    return f"topic:{asked(body).split()[0][:20]}"
