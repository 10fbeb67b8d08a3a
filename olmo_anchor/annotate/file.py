"""Annotations that exist already: a user's own, or the truth of a synthetic corpus.

The file is JSONL, also ``.gz`` and ``.zst``, in any order, one annotation per line::

    {"id": "moby-dick", "chunk": 3, "tags": [["topic", "whaling"], ["entity", "Ahab"]]}
    {"part": 0, "doc": 17, "chunk": 0, "annotation": "topic:whaling\\nentity:Ahab"}

A document is named by its id, or by the index of its token file and its index in there. A Parquet
file has the same as columns; ``tags`` is then a list of pairs, of ``{key, value}``, or a map.
"""

from __future__ import annotations

import hashlib
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from olmo_anchor.annotate.base import Annotator, Chunk, Outcome, Refused
from olmo_anchor.annotation import Annotation, Schema, parse
from olmo_anchor.corpus.jsonl import read_lines
from olmo_anchor.corpus.overlay_records import read_annotation
from olmo_anchor.errors import InputError

__all__ = ["FileAnnotator"]

Place = tuple[str | int, ...]


class FileAnnotator(Annotator):
    """Looks annotations up in a file; holds 33 bytes of memory per record.

    :param name: what its records are signed with: ``file``, or ``oracle`` for the truth.
    :raises InputError: when the file holds no record.
    """

    def __init__(self, path: Path, schema: Schema, name: str = "file") -> None:
        self.name = name
        self.path = path
        self.schema = schema
        self._broken: list[tuple[str, dict[str, Any]]] = []
        hashes, offsets, lines = array("Q"), array("q"), array("q")
        offset = 0
        self._file = _open(path)
        for line, raw in enumerate(self._file, 1):
            if raw.strip():
                place = self._place(raw, line)
                if place is not None:
                    hashes.append(_hash(place))
                    offsets.append(offset)
                    lines.append(line)
            offset += len(raw)
        if not hashes:
            detail = f": line 1: {self._broken[0][0]}" if self._broken else ""
            raise InputError(f"{path}: holds no annotation{detail}")
        order = np.argsort(np.array(hashes, dtype=np.uint64), kind="stable")
        self._hashes = np.array(hashes, dtype=np.uint64)[order]
        self._offsets = np.array(offsets, dtype=np.int64)[order]
        self._lines = np.array(lines, dtype=np.int64)[order]
        self._used = np.zeros(len(order), dtype=bool)

    def _place(self, raw: bytes, line: int) -> Place | None:
        try:
            record = orjson.loads(raw)
            place = _place_of(record)
        except orjson.JSONDecodeError:
            reason = "not JSON"
        except ValueError as error:
            reason = str(error)
        else:
            return place
        self._broken.append((reason, {"file": str(self.path), "line": line}))
        return None

    def _find(self, chunk: int, id: str | None, part: int, doc: int) -> int | None:
        """The place of the chunk's record in the index; it counts as used then."""
        places: list[Place] = [(part, doc, chunk)]
        if id is not None:
            places.append((id, chunk))
        for place in places:
            wanted = np.uint64(_hash(place))
            at = int(np.searchsorted(self._hashes, wanted))
            if at < len(self._hashes) and self._hashes[at] == wanted:
                self._used[at] = True
                return at
        return None

    def annotate(self, chunks: Sequence[Chunk]) -> Sequence[Outcome]:
        return [self._one(chunk) for chunk in chunks]

    def _one(self, chunk: Chunk) -> Outcome:
        at = self._find(chunk.chunk, chunk.id, chunk.part, chunk.doc)
        if at is None:
            return None
        self._file.seek(int(self._offsets[at]))
        record = orjson.loads(self._file.readline())
        try:
            return _annotation_of(record, self.schema)
        except ValueError as error:
            return Refused(str(error))

    def replay(self, record: dict[str, Any]) -> None:
        self._find(record["chunk"], record.get("id"), record["part"], record["doc"])

    def leftovers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from self._broken
        unused = np.flatnonzero(~self._used)
        for at in unused[np.argsort(self._lines[unused])].tolist():
            second = at > 0 and self._hashes[at - 1] == self._hashes[at]
            reason = "a second record for its chunk" if second else "there is no such chunk"
            yield reason, {"file": str(self.path), "line": int(self._lines[at])}


def _open(path: Path) -> IO[bytes]:
    """The file as JSONL that one can seek in; a copy of what is compressed or Parquet."""
    if path.suffix not in (".gz", ".zst", ".parquet"):
        return path.open("rb")
    # Unlinked from the start: it goes with the process.
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    if path.suffix == ".parquet":
        for row in _rows(path):
            copy.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    else:
        last = 1
        for line, raw in read_lines(path):
            copy.write(b"\n" * (line - last) + raw)  # blank lines are left out
            last = line
    copy.seek(0)
    return copy


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            f"{path}: Parquet is read with pyarrow: pip install 'olmo-anchor[annotate]'"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(4096):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from None


def _place_of(record: Any) -> Place:
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    chunk = record.get("chunk")
    if type(chunk) is not int or chunk < 0:
        raise ValueError("`chunk` is not a whole number from 0")
    if "id" in record:
        return str(record["id"]), chunk
    part, doc = record.get("part"), record.get("doc")
    if type(part) is not int or type(doc) is not int:
        raise ValueError("names no document: neither `id`, nor `part` and `doc`")
    return part, doc, chunk


def _annotation_of(record: dict[str, Any], schema: Schema) -> Annotation:
    if record.get("tags") is not None:
        return read_annotation(_pairs(record["tags"]), schema)
    text = record.get("annotation")
    if not isinstance(text, str):
        raise ValueError("there are neither `tags` nor an `annotation`")
    parsed = parse(text, schema)
    if parsed.dropped:
        raise ValueError(parsed.dropped[0].reason)
    return parsed.annotation


def _pairs(tags: Any) -> Any:
    if isinstance(tags, list):
        return [
            [tag["key"], tag["value"]]
            if isinstance(tag, dict) and {*tag} == {"key", "value"}
            else tag
            for tag in tags
        ]
    return tags


def _hash(place: Place) -> int:
    return int.from_bytes(hashlib.blake2b(orjson.dumps(place), digest_size=8).digest(), "little")
