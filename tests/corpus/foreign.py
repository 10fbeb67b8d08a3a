"""Token files as dolma and open-instruct write them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from olmo_anchor.corpus.adopt import AdoptConfig
from olmo_anchor.manifest import Manifest

__all__ = ["adopt", "write_chat", "write_csv", "write_dolma"]

Rows = Sequence[tuple[Any, ...]]


def write_csv(path: Path, rows: Rows) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)


def write_dolma(folder: Path, end: int, dtype: str = "<u2") -> Path:
    """Two files of ``dolma tokens``: two documents, then one."""
    folder.mkdir(parents=True)
    np.array([10, 11, end, 12, end], dtype).tofile(folder / "part-0-00000.npy")
    rows = [(0, 3, "a", "docs.jsonl.gz", 1), (3, 5, "b", "docs.jsonl.gz", 2)]
    write_csv(folder / "part-0-00000.csv.gz", rows)
    np.array([13, 14, 15, end], dtype).tofile(folder / "part-1-00000.npy")
    write_csv(folder / "part-1-00000.csv.gz", [(0, 4, "c", "docs.jsonl.gz", 3)])
    return folder


def write_chat(folder: Path, end: int, *, begin: Sequence[int] = (), csv: bool = True) -> Path:
    """A file of open-instruct's converter: two turns, then one; ``begin`` leads each."""
    folder.mkdir(parents=True)
    documents = [[*begin, 20, 21, 22, 23, end], [*begin, 24, 25, end]]
    off = [0] * len(begin)
    masks = [[*off, 0, 1, 0, 1, 1], [*off, 0, 1, 1]]
    np.array([*chain(*documents)], "<u2").tofile(folder / "token_ids_part_0000.npy")
    np.array([*chain(*masks)], bool).tofile(folder / "labels_mask_part_0000.npy")
    if csv:
        middle, length = len(documents[0]), sum(map(len, documents))
        write_csv(folder / "token_ids_part_0000.csv.gz", [(0, middle), (middle, length)])
    return folder


def adopt(out: Path, inputs: Iterable[Path], tokenizer: Path, **options: Any) -> Manifest:
    return AdoptConfig(inputs=(*inputs,), tokenizer=str(tokenizer), out=out, **options).run()
