"""What the scripts here share: reading the Parquet files of a data set, and writing JSONL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow.dataset
import yaml

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import MANIFEST, check_output, read_manifest

HERE = Path(__file__).parent
Row = dict[str, Any]


def choices(name: str) -> dict[str, Any]:
    """The ``choices`` of a corpus' YAML."""
    return cast("dict[str, Any]", yaml.safe_load((HERE / f"{name}.yaml").read_text())["choices"])


def parquet_files(given: Sequence[str]) -> list[Path]:
    """The files, and those below the folders, in order.

    :raises InputError: when there is none.
    """
    found: list[Path] = []
    for path in map(Path, given):
        found += sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    missing = [path for path in found if not path.is_file()]
    if missing or not found:
        raise InputError(f"{missing[0] if missing else given[0]}: no such Parquet file")
    return found


def read_rows(files: Sequence[Path], columns: Sequence[str]) -> Iterator[Row]:
    """The rows in order; a column that is not there is left out of them.

    :raises InputError: when a file is not Parquet, or lacks the first of the columns.
    """
    for path in files:
        try:
            table = pyarrow.dataset.dataset(path, format="parquet")
        except (OSError, pyarrow.ArrowInvalid) as error:
            raise InputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
        there = [name for name in columns if name in table.schema.names]
        if columns[0] not in there:
            names = ", ".join(table.schema.names)
            raise InputError(f"{path}: has no column {columns[0]!r}; the columns are {names}")
        for batch in table.to_batches(columns=there, batch_size=4096, use_threads=False):
            yield from batch.to_pylist()


def number_of(*texts: str) -> int:
    """64 bits that only the texts decide."""
    joined = "\x1f".join(texts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "big")


def finished(out: Path, kind: str, config: dict[str, Any]) -> bool:
    """Whether ``out`` holds the result of the same call.

    :raises InputError: when it holds something else.
    """
    if not (out / MANIFEST).is_file():
        check_output(out, resume=True)
        return False
    if read_manifest(out, kind).config != config:
        raise InputError(f"{out}: was made by another call; remove it, or name another --out")
    print(f"{out}: finished already")
    return True
