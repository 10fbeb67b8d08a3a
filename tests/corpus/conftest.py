"""Token folders and annotation folders, written by hand or made from text."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from olmo_anchor.corpus.overlay import OverlayConfig
from olmo_anchor.corpus.token_files import sampled_record
from olmo_anchor.corpus.tokenize import TokenizeConfig
from olmo_anchor.manifest import Manifest, file_record
from olmo_anchor.tokenizer import AnchorTokenizer

Documents = Sequence[Sequence[int]]
WriteTokens = Callable[..., Path]
WriteAnnotations = Callable[..., Path]


@pytest.fixture
def write_tokens(tmp_path: Path, tiny: AnchorTokenizer) -> WriteTokens:
    """``write(parts, masks=None, ...)``: one list of documents (lists of ids) per part."""

    def write(
        parts: Sequence[Documents],
        masks: Sequence[Documents] | None = None,
        *,
        folder: Path | None = None,
        train_turns: str = "final",
        dtype: str = "uint16",
        tokenizer: AnchorTokenizer = tiny,
        bounds: Sequence[Sequence[tuple[int, int]]] | None = None,
    ) -> Path:
        folder = folder or tmp_path / "tokens"
        folder.mkdir(parents=True)
        entries = []
        for number, documents in enumerate(parts):
            ids = folder / f"token_ids_part_{number:04d}.npy"
            flat = [token for document in documents for token in document]
            np.array(flat, dtype=dtype).tofile(ids)
            mask = None
            if masks is not None:
                mask = folder / f"labels_mask_part_{number:04d}.npy"
                np.array([m for one in masks[number] for m in one], dtype=bool).tofile(mask)
            ends = np.cumsum([0, *(len(document) for document in documents)]).tolist()
            rows = bounds[number] if bounds else list(pairwise(ends))
            table = ids.with_suffix(".csv.gz")
            with gzip.open(table, "wt") as file:
                file.writelines(f"{a},{b},doc-{number}-{k}\n" for k, (a, b) in enumerate(rows))
            entries.append(
                {
                    "ids": sampled_record(ids, folder),
                    "mask": sampled_record(mask, folder) if mask else None,
                    "csv": file_record(table, folder),
                    "documents": len(documents),
                    "tokens": len(flat),
                }
            )
        tokenizer.save(folder / "tokenizer")
        Manifest(
            kind="tokens",
            inputs=[],
            config={},
            counts={"documents": sum(map(len, parts)), "parts": len(parts)},
            outputs=[],
            extra={
                "dtype": dtype,
                "tokenizer_hash": tokenizer.hash,
                "vocab_size": tokenizer.vocab_size,
                "chat": masks is not None,
                "train_turns": train_turns if masks is not None else None,
                "parts": entries,
            },
        ).write(folder)
        return folder

    return write


@pytest.fixture
def write_annotations(tmp_path: Path) -> WriteAnnotations:
    """``write(records, **extra)``: dicts, or raw lines as bytes."""

    def write(
        records: Sequence[dict[str, Any] | bytes], *, folder: Path | None = None, **extra: Any
    ) -> Path:
        folder = folder or tmp_path / "annotations"
        folder.mkdir(parents=True)
        lines = [r if isinstance(r, bytes) else orjson.dumps(r) for r in records]
        (folder / "annotations.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        Manifest("annotations", [], {}, {"annotations": len(lines)}, [], extra=extra).write(folder)
        return folder

    return write


# --- overlays ------------------------------------------------------------------------------------

GOOD = {"part": 0, "doc": 0, "chunk": 0, "tags": [["topic", "cat"]]}


@pytest.fixture
def docs(tiny: AnchorTokenizer) -> list[list[int]]:
    """Three documents of two, one and three chunks."""
    end = tiny.control.end_of_text
    texts = ["The cat.\n\nThe mat.", "The dog.", "The\n\ncat\n\nran"]
    return [[*tiny.encode(text), end] for text in texts]


def rejected(out: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (out / "rejected.jsonl").read_bytes().splitlines()]


def run_overlay(tokens: Path, annotations: Path, out: Path, **options: Any) -> Manifest:
    return OverlayConfig(tokens=tokens, annotations=annotations, out=out, **options).run()


# --- tokenize ------------------------------------------------------------------------------------


def write_jsonl(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def documents(*texts: str) -> list[dict[str, str]]:
    return [{"id": f"d{k}", "text": text} for k, text in enumerate(texts)]


def rows(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that must not depend on when and in how many pieces it was written."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", ".olmo-anchor")
    }


@pytest.fixture
def tokenize(tmp_path: Path, tiny_tokenizer_file: Path) -> Any:
    def run(records: Sequence[Any], out: str = "tokens", **options: Any) -> tuple[Path, Manifest]:
        path = write_jsonl(tmp_path / "input.jsonl", records)
        folder = tmp_path / out
        config = TokenizeConfig((path,), str(tiny_tokenizer_file), folder, **options)
        return folder, config.run()

    return run


def conversation(response: str, *earlier: str) -> list[dict[str, str]]:
    turns = [*earlier, "The dog", response]
    return [
        {"role": "assistant" if k % 2 else "user", "content": turn} for k, turn in enumerate(turns)
    ]
