"""Writing the parts of a TOKENS_DIR: token ids, label mask, and where each document stands.

The files are those of ``dolma tokens`` and of open-instruct's SFT converter::

    token_ids_part_0000.npy     ids, no header, little-endian, the smallest uint that holds all
    labels_mask_part_0000.npy   one bool per id, True = trained (conversations only)
    token_ids_part_0000.csv.gz  start,end,id per document; no header

OLMo-core reads the first two columns of the last and ignores what follows.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.token_files import sampled_sha256
from olmo_anchor.manifest import FileRecord

__all__ = ["PART_PATTERNS", "PartWriter", "smallest_uint"]

PART_PATTERNS = (
    "token_ids_part_*.npy",
    "token_ids_part_*.csv.gz",
    "labels_mask_part_*.npy",
    ".*_part_*.partial",
)

_HELD_TOKENS = 1 << 18


def smallest_uint(vocab_size: int) -> np.dtype[Any]:
    """The little-endian unsigned type that OLMo-core infers for a vocabulary."""
    return np.min_scalar_type(vocab_size - 1).newbyteorder("<")


class PartWriter:
    """Appends documents to one part, whose files appear whole when it is finished.

    :param index: the number of the part in its folder.
    :param with_mask: whether a label mask belongs to each document.
    """

    def __init__(self, folder: Path, index: int, dtype: np.dtype[Any], *, with_mask: bool) -> None:
        self.folder, self.index, self.dtype = folder, index, dtype
        self.tokens = self.documents = self._written = 0
        self._held: list[tuple[NDArray[Any], NDArray[np.bool_] | None, str]] = []
        self._files: dict[str, _HashedFile] = {}
        self._ids = self._open("ids", f"token_ids_part_{index:04d}.npy")
        self._mask = self._open("mask", f"labels_mask_part_{index:04d}.npy") if with_mask else None
        # Without a time and a name in its header the file is a function of its content alone.
        self._gzip = gzip.GzipFile(
            filename="",
            mode="wb",
            compresslevel=1,
            fileobj=self._open("csv", f"token_ids_part_{index:04d}.csv.gz"),
            mtime=0,
        )
        self._text = io.TextIOWrapper(self._gzip, encoding="utf-8", newline="")
        self._rows = csv.writer(self._text, lineterminator="\n")

    def _open(self, key: str, name: str) -> _HashedFile:
        self._files[key] = file = _HashedFile(self.folder / name)
        return file

    def add(self, ids: NDArray[Any], mask: NDArray[np.bool_] | None, name: str) -> None:
        """Append one document.

        :param ids: ``[n]``, with its end-of-text.
        :param mask: ``[n]``, where the part has masks.
        """
        self._held.append((ids, mask, name))
        self.tokens += len(ids)
        self.documents += 1
        if self.tokens - self._written >= _HELD_TOKENS:
            self._write()

    def _write(self) -> None:
        # Many at a time: a short document costs more than its tokens do.
        ids, masks, names = zip(*self._held, strict=True)
        self._ids.write(np.concatenate(ids, dtype=self.dtype).data)
        if self._mask is not None:
            self._mask.write(np.concatenate(masks, dtype=np.bool_).data)
        bounds = accumulate(map(len, ids), initial=self._written)
        self._rows.writerows(
            (*ends, name) for ends, name in zip(pairwise(bounds), names, strict=True)
        )
        self._held, self._written = [], self.tokens

    def finish(self) -> dict[str, Any]:
        """Put the files in place.

        :returns: the part's entry of the manifest.
        """
        if self._held:
            self._write()
        self._text.close()
        self._gzip.close()
        records = {key: file.finish() for key, file in self._files.items()}
        return {
            "ids": records["ids"],
            "mask": records.get("mask"),
            "csv": records["csv"],
            "documents": self.documents,
            "tokens": self.tokens,
        }


class _HashedFile(io.RawIOBase):
    """A file that is hashed as it is written, and is in its place when it is finished."""

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(f".{path.name}.partial")
        self._file = self.partial.open("wb", buffering=1 << 20)
        self._digest = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self._digest.update(block)
        written = self._file.write(block)
        self._size += written
        return written

    def finish(self) -> FileRecord:
        """:returns: its size and hashes, named relative to its folder."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.partial.replace(self.path)
        return {
            "path": self.path.name,
            "size": self._size,
            "sha256": self._digest.hexdigest(),
            "sampled_sha256": sampled_sha256(self.path),
        }
