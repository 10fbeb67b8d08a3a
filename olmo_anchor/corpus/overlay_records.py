"""Annotation records: read, checked one by one, and turned into token ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from olmo_anchor.annotation import Annotation, Schema, Tag
from olmo_anchor.corpus.jsonl import read_lines
from olmo_anchor.errors import InputError
from olmo_anchor.journal import Rejects
from olmo_anchor.manifest import Manifest
from olmo_anchor.spans import DELIMITER, KEY, VALUE, roles
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = [
    "OUT_OF_ORDER",
    "AnnotationEncoder",
    "Record",
    "RecordReader",
    "read_annotation",
    "record_files",
]

OUT_OF_ORDER = "out of order: records stand by part, document and chunk"


@dataclass(frozen=True, slots=True)
class Record:
    """One annotated chunk.

    :param file: the name of the file that it stands in.
    :param at: which of the files that is, and the line in it, from 1.
    """

    part: int
    doc: int
    chunk: int
    id: str | None
    annotation: Annotation
    file: str
    at: tuple[int, int]

    def where(self) -> dict[str, Any]:
        """For :meth:`Rejects.add`."""
        named = {} if self.id is None else {"id": self.id}
        return {
            "part": self.part,
            "doc": self.doc,
            "chunk": self.chunk,
            **named,
            "file": self.file,
            "line": self.at[1],
        }


def read_annotation(tags: Any, schema: Schema) -> Annotation:
    """Build an annotation from JSON's ``[[key, value], ...]``.

    :raises ValueError: with the reason, when it is not of this form, or the schema refuses it.
    """
    if not isinstance(tags, list):
        raise ValueError("there is no list of tags")
    found = []
    for tag in tags:
        if not (isinstance(tag, list) and len(tag) == 2 and all(isinstance(t, str) for t in tag)):
            raise ValueError("a tag is not a pair of strings")
        found.append(Tag(*tag))
    annotation = Annotation(tuple(found))
    if reason := schema.refuse(annotation):
        raise ValueError(reason)
    return annotation


class RecordReader:
    """Records in order of part and document; what cannot be used is rejected.

    A rejected record is as if it were not there: those after it are not held to its place.

    :param paths: files of JSONL, also ``.zst``, which follow one another.
    :param documents: how many each part has.
    :param start: the file to begin in, and the lines of it to pass over; before them stand
        ``count`` records, of parts up to ``part``.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        schema: Schema,
        documents: Sequence[int],
        rejects: Rejects,
        *,
        start: tuple[int, int] = (0, 0),
        count: int = 0,
        part: int = 0,
    ) -> None:
        self.paths = paths
        self._at = start
        self._count = count
        self._documents = documents
        self._schema = schema
        self._rejects = rejects
        self._records = self._read()
        self._ahead: Record | None = None
        self._last = (part, 0)

    def until(self, part: int, doc: int) -> Iterator[Record]:
        """The records before document ``doc`` of ``part``."""
        while True:
            record = self._ahead or next(self._records, None)
            self._ahead = record
            if record is None or (record.part, record.doc) >= (part, doc):
                return
            self._ahead = None
            yield record

    @property
    def consumed(self) -> tuple[int, int]:
        """The file that the next record stands in, and the line before it."""
        if self._ahead is None:
            return self._at
        file, line = self._ahead.at
        return file, line - 1

    @property
    def count(self) -> int:
        """How many records stand before the next one."""
        return self._count - (self._ahead is not None)

    def _read(self) -> Iterator[Record]:
        first, passed = self._at
        for number in range(first, len(self.paths)):
            for line, raw in read_lines(self.paths[number]):
                if number == first and line <= passed:
                    continue
                self._at = number, line
                self._count += 1
                if record := self._check(raw):
                    yield record

    def _check(self, raw: bytes) -> Record | None:
        file = self.paths[self._at[0]].name
        at = {"file": file, "line": self._at[1]}
        try:
            stored = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            self._rejects.add("not JSON", **at, detail=str(error))
            return None
        if not isinstance(stored, dict):
            self._rejects.add("not a JSON object", **at)
            return None
        place: tuple[Any, ...] = tuple(stored.get(name) for name in ("part", "doc", "chunk"))
        where = {name: stored[name] for name in ("part", "doc", "chunk", "id") if name in stored}
        where.update(at)
        if not all(type(number) is int and number >= 0 for number in place):
            self._rejects.add("part, doc and chunk are not all whole numbers from 0", **where)
            return None
        part, doc, chunk = place
        try:
            self._check_place(part, doc)
            annotation = read_annotation(stored.get("tags"), self._schema)
        except ValueError as error:
            self._rejects.add(str(error), **where)
            return None
        self._last = part, doc
        name = stored.get("id")
        name = None if name is None else str(name)
        return Record(part, doc, chunk, name, annotation, file, self._at)

    def _check_place(self, part: int, doc: int) -> None:
        if part >= len(self._documents):
            raise ValueError("there is no such part")
        if doc >= self._documents[part]:
            raise ValueError("there is no such document")
        if (part, doc) < self._last:
            raise ValueError(OUT_OF_ORDER)


class AnnotationEncoder:
    """Annotations to ids, as :meth:`AnchorTokenizer.encode_annotation`, with known pieces kept.

    :param max_tokens: the longest annotation, delimiters included.
    """

    def __init__(self, tokenizer: AnchorTokenizer, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.control = tokenizer.control
        self._tokenizer = tokenizer
        self._piece = lru_cache(maxsize=1 << 16)(self._encode_piece)

    def _encode_piece(self, text: str) -> tuple[int, ...]:
        ids = self._tokenizer.encode(text)
        if self._tokenizer.decode(ids).strip() != text:
            raise ValueError("the tokenizer cannot spell a key or value of it")
        return tuple(ids)

    def encode(self, annotation: Annotation) -> tuple[list[int], list[int]]:
        """Ids and roles, both delimiters included.

        :raises ValueError: when it is too long, or its text does not survive the tokenizer.
        """
        control = self.control
        ids, role_ids = [control.open], [DELIMITER]
        for number, tag in enumerate(annotation.tags):
            if number:
                ids.append(control.newline)
                role_ids.append(DELIMITER)
            key, value = self._piece(tag.key), self._piece(tag.value)
            ids += (*key, control.colon, *value)
            role_ids += [KEY] * (len(key) + 1) + [VALUE] * len(value)
        ids.append(control.close)
        role_ids.append(DELIMITER)
        if len(ids) > self.max_tokens:
            raise ValueError(f"longer than {self.max_tokens} tokens")
        return ids, role_ids

    def misread(self, ids: list[list[int]], role_ids: list[list[int]]) -> NDArray[np.int64]:
        """Which of these annotations `spans.roles` would read otherwise than they were built."""
        if not ids:
            return np.zeros(0, np.int64)
        flat = np.array([token for one in ids for token in one])
        built = np.array([role for one in role_ids for role in one], dtype=np.uint8)
        wrong = np.flatnonzero(roles(flat, self.control, inside=False) != built)
        ends = np.cumsum([len(one) for one in ids])
        return np.unique(np.searchsorted(ends, wrong, side="right"))


def record_files(folder: Path, manifest: Manifest) -> list[Path]:
    """The files of records of an ANNOTATIONS_DIR: those that its manifest names, or else
    ``annotations.jsonl``.

    :raises InputError: when one is missing, or there is no record in any.
    """
    names = manifest.extra.get("records", ["annotations.jsonl"])
    paths = [folder / name for name in names]
    cure = "make it with: olmo-anchor annotate"
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: missing; {cure}")
    if not any(path.stat().st_size for path in paths):
        raise InputError(f"{paths[0] if paths else folder}: holds no record; {cure}")
    return paths
