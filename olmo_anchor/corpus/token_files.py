"""Reading one token file of a TOKENS_DIR, with the label mask and the document bounds beside it.

Files are read in blocks of whole documents with plain reads: memory does not grow with the corpus.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import FileRecord, file_record

__all__ = ["BLOCK_TOKENS", "Block", "Part", "read_bounds", "sampled_record", "sampled_sha256"]

BLOCK_TOKENS = 1 << 20
"""Tokens in a block of documents; a longer document is a block of its own."""

_SAMPLES = 16
_SAMPLE_BYTES = 1 << 16


def sampled_sha256(path: Path) -> str:
    """SHA-256 of a file's size and of 16 blocks of 64 KiB spread evenly from its start to its end.

    Cheap enough for every start of a training run; tells files apart, proves nothing.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(size.to_bytes(8, "little"))
    last = max(0, size - _SAMPLE_BYTES)
    with path.open("rb") as file:
        for offset in sorted({last * k // (_SAMPLES - 1) for k in range(_SAMPLES)}):
            file.seek(offset)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def sampled_record(path: Path, root: Path | None = None) -> FileRecord:
    """As :func:`~olmo_anchor.manifest.file_record`, with the sampled hash besides."""
    return {**file_record(path, root), "sampled_sha256": sampled_sha256(path)}


def read_bounds(path: Path) -> Iterator[tuple[int, int, str | None]]:
    """The rows ``(start, end, id)`` of a ``.csv.gz``; the id is None without a third column.

    :raises InputError: when the file is torn or a row does not begin with two whole numbers.
    """
    line = 0
    try:
        with (
            path.open("rb") as raw,
            gzip.open(raw, "rt", encoding="utf-8", newline="") as file,
        ):
            for row in csv.reader(file):
                yield int(row[0]), int(row[1]), (row[2] or None) if len(row) > 2 else None
                line += 1
    except (ValueError, IndexError, csv.Error):
        raise InputError(f"{path}:{line + 1}: not a row of start,end,id{_MEND}") from None
    except (EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}){_MEND}") from None


_MEND = "; put it back, or make the token files again"


def _items(path: Path, dtype: np.dtype[Any], start: int, end: int) -> NDArray[Any]:
    with path.open("rb") as file:
        file.seek(start * dtype.itemsize)
        return np.frombuffer(file.read((end - start) * dtype.itemsize), dtype)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive documents of one part.

    :param first: the index of the first document in its part.
    :param bounds: int64 ``[documents + 1]``, starts in the part and the last one's end.
    :param ids: the tokens ``[bounds[-1] - bounds[0]]``, of the part's dtype.
    :param mask: the corpus' label mask of the same length, where there is one.
    :param names: the documents' ids, None where the corpus does not name them.
    """

    first: int
    bounds: NDArray[np.int64]
    ids: NDArray[Any]
    mask: NDArray[np.bool_] | None
    names: list[str | None]

    def __len__(self) -> int:
        return len(self.names)

    def document(self, k: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Ids and mask of the ``k``-th document of the block."""
        cut = slice(*(self.bounds[k : k + 2] - self.bounds[0]))
        return self.ids[cut], None if self.mask is None else self.mask[cut]


@dataclass(frozen=True, slots=True)
class Part:
    """One token file with what stands beside it.

    :param mend: what to do when a file of it is not as it was.
    """

    index: int
    ids: Path
    mask: Path | None
    bounds: Path
    dtype: np.dtype[Any]
    tokens: int
    documents: int
    record: FileRecord
    mend: str

    def read(self, start: int, end: int) -> NDArray[Any]:
        """Tokens ``[start, end)``."""
        return _items(self.ids, self.dtype, start, end)

    def read_mask(self, start: int, end: int) -> NDArray[np.bool_] | None:
        """The label mask of ``[start, end)``, where there is one."""
        if self.mask is None:
            return None
        return _items(self.mask, np.dtype(np.bool_), start, end)

    def rows(self) -> Iterator[tuple[int, int, str | None]]:
        """Start, end and id of each document, as the ``.csv.gz`` tells them.

        :raises InputError: when they are not consecutive from 0 to the end of the file, or not as
            many as the manifest tells.
        """
        expected = row = 0
        for row, (start, end, name) in enumerate(read_bounds(self.bounds), 1):
            if start != expected or end < start:
                raise InputError(
                    f"{self.bounds}:{row}: the document begins at {start}, the one before ends at "
                    f"{expected}; {self.mend}"
                )
            expected = end
            yield start, end, name
        if (row, expected) != (self.documents, self.tokens):
            raise InputError(
                f"{self.bounds}: holds {row} documents of {expected} tokens, the manifest says "
                f"{self.documents} of {self.tokens}; {self.mend}"
            )

    def blocks(self, start_document: int = 0, block_tokens: int = BLOCK_TOKENS) -> Iterator[Block]:
        """The documents from ``start_document`` on, in blocks.

        :raises InputError: as :meth:`rows`.
        """
        bounds, names, row = [0], list[str | None](), 0
        for row, (start, end, name) in enumerate(self.rows(), 1):
            if row <= start_document:
                bounds = [end]
                continue
            if names and end - bounds[0] > block_tokens:
                yield self._block(row - 1 - len(names), bounds, names)
                bounds, names = [start], []
            bounds.append(end)
            names.append(name)
        if names:
            yield self._block(row - len(names), bounds, names)

    def _block(self, first: int, bounds: list[int], names: list[str | None]) -> Block:
        ids, mask = self.read(bounds[0], bounds[-1]), self.read_mask(bounds[0], bounds[-1])
        return Block(first, np.array(bounds, dtype=np.int64), ids, mask, names)
