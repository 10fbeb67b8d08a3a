"""JSONL files, also ``.gz`` and ``.zst``: one record per line; blank lines are no records."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from olmo_anchor.corpus.documents import Record
from olmo_anchor.corpus.input_file import InputFile
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import FileRecord

__all__ = ["JsonlFile", "read_lines"]

_BLOCK = 1 << 20
_PACKED_BLOCK = 1 << 18  # about as much text as a block
_NEWLINE = ord("\n")
_BOM = b"\xef\xbb\xbf"


class JsonlFile(InputFile):
    def check(self) -> tuple[FileRecord, int]:
        """Read the file through once: its hash, that it is whole, and its number of lines."""
        digest, lines, last = hashlib.sha256(), 0, b"\n"
        with _faults(self.path):
            for block in _blocks(self.path, digest.update):
                # Takes a quarter of the time of `block.count`.
                lines += int(np.count_nonzero(np.frombuffer(block, np.uint8) == _NEWLINE))
                last = block[-1:] or last
        record = {"path": str(self.path.resolve()), "size": self.size, "sha256": digest.hexdigest()}
        return record, lines + (last != b"\n")

    def batches(self) -> Iterator[list[Record]]:
        """The records, those of a block of the file at a time.

        :raises InputError: when the file cannot be opened or decompressed, or ends too early.
        """
        number = 1
        with _faults(self.path):
            for lines in _lines(_blocks(self.path)):
                if number == 1:
                    lines[0] = lines[0].removeprefix(_BOM)
                batch = [
                    Record(self.index, at, line)
                    for at, line in enumerate(lines, number)
                    if line and not line.isspace()
                ]
                number += len(lines)
                if batch:
                    yield batch


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of one file that are not blank, with their numbers from 1.

    :raises InputError: as :meth:`JsonlFile.batches`.
    """
    for batch in JsonlFile(path, path.name).batches():
        for record in batch:
            assert isinstance(record.raw, bytes)
            yield record.line, record.raw


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except EOFError:
        raise InputError(
            f"{path}: ends in the middle of its compressed data; copy it again"
        ) from None
    except (OSError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _blocks(path: Path, see: Callable[[bytes], Any] = lambda block: None) -> Iterator[bytes]:
    """What the file holds, decompressed.

    :param see: is given the bytes of the file itself.
    """
    if path.suffix == ".zst":
        begin: Callable[[], Any] = zstandard.ZstdDecompressor().decompressobj
    elif path.suffix == ".gz":
        begin = _begin_gzip
    else:
        yield from _stored(path, _BLOCK, see)
        return
    # A stream reader of `zstandard` takes a file that was cut short for one that ends.
    member = None
    for block in _stored(path, _PACKED_BLOCK, see):
        while block:
            if member is None or member.eof:
                block = block.lstrip(b"\0") if path.suffix == ".gz" and member else block
                if not block:
                    break
                member = begin()
            yield member.decompress(block)
            block = member.unused_data if member.eof else b""
    if member is not None and not member.eof:
        raise EOFError


def _begin_gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _stored(path: Path, size: int, see: Callable[[bytes], Any]) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(size):
            see(block)
            yield block


def _lines(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """The whole lines of each block, with what was left of the one before."""
    pending: list[bytes] = []
    for block in blocks:
        first, *rest = block.split(b"\n")
        pending.append(first)
        if rest:
            whole = [b"".join(pending), *rest[:-1]]
            pending = [rest[-1]]
            yield whole
    if last := b"".join(pending):
        yield [last]
