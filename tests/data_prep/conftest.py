"""Running what stands in data_prep/, and small files in each source's own format."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow
import pyarrow.parquet
import zstandard

ROOT = Path(__file__).parent.parent.parent
Row = dict[str, Any]


def run(*command: str | Path, code: int = 0, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command of this checkout; ``python`` is ours."""
    words = [sys.executable if word == "python" else str(word) for word in command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


def make_data(corpus: str, source: Path, data: Path, tokenizer: Path, **words: object) -> str:
    """`make data`, as a user types it; what it installs is there."""
    given = {
        "CORPUS": corpus,
        "SOURCE": source,
        "DATA": data,
        "TOKENIZER": tokenizer,
        "BIN": Path(sys.executable).parent,
        **words,
    }
    return run(
        "make", "-o", "install", "data", *(f"{name}={value}" for name, value in given.items())
    ).stdout


def write_jsonl(path: Path, rows: list[Row]) -> Path:
    """Compressed as its name says."""
    raw = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    if path.suffix == ".gz":
        raw = gzip.compress(raw)
    elif path.suffix == ".zst":
        raw = zstandard.compress(raw)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


def read_jsonl(path: Path) -> list[Row]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def write_parquet(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def dolma(texts: dict[str, str], source: str) -> list[Row]:
    """Records of a shard of Dolma."""
    return [
        {
            "id": name,
            "text": text,
            "source": source,
            "created": "2023-03-01T00:00:00.000Z",
            "added": "2024-04-01T00:00:00.000Z",
            "version": "v1",
            "metadata": {"length": len(text), "provenance": f"{source}-0000.json.gz:1"},
        }
        for name, text in texts.items()
    ]
