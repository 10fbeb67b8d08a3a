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
from olmo_anchor.errors import InputError
from olmo_anchor.journal import Rejects
from olmo_anchor.spans import DELIMITER, KEY, VALUE, roles
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = [
    "OUT_OF_ORDER",
    "AnnotationEncoder",
    "Record",
    "RecordReader",
    "annotations_file",
    "read_annotation",
]

OUT_OF_ORDER = "out of order: records stand by part, document and chunk"


@dataclass(frozen=True, slots=True)
class Record:
    """One annotated chunk.

    :param line: where it stands in its file, from 1.
    :param start: the byte of the file that it begins at.
    """

    part: int
    doc: int
    chunk: int
    id: str | None
    annotation: Annotation
    line: int
    start: int

    def where(self) -> dict[str, Any]:
        """For :meth:`Rejects.add`."""
        named = {} if self.id is None else {"id": self.id}
        return {
            "part": self.part,
            "doc": self.doc,
            "chunk": self.chunk,
            **named,
            "line": self.line,
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
    """``annotations.jsonl`` in order of part and document; what cannot be used is rejected.

    A rejected record is as if it were not there: those after it are not held to its place.

    :param documents: how many each part has.
    :param start: the byte to begin at, with ``line`` lines before it, of parts up to ``part``.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        documents: Sequence[int],
        rejects: Rejects,
        *,
        start: int = 0,
        line: int = 0,
        part: int = 0,
    ) -> None:
        self.path = path
        self.line = line
        self.end = start
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
        """The byte and the number of lines before the record that comes next."""
        if self._ahead is None:
            return self.end, self.line
        return self._ahead.start, self._ahead.line - 1

    def _read(self) -> Iterator[Record]:
        with self.path.open("rb") as file:
            file.seek(self.end)
            for raw in file:
                before = self.end
                self.end += len(raw)
                self.line += 1
                if raw.strip() and (record := self._check(raw, before)):
                    yield record

    def _check(self, raw: bytes, before: int) -> Record | None:
        try:
            stored = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            self._rejects.add("not JSON", line=self.line, detail=str(error))
            return None
        if not isinstance(stored, dict):
            self._rejects.add("not a JSON object", line=self.line)
            return None
        place: tuple[Any, ...] = tuple(stored.get(name) for name in ("part", "doc", "chunk"))
        where = {name: stored[name] for name in ("part", "doc", "chunk", "id") if name in stored}
        where["line"] = self.line
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
        return Record(part, doc, chunk, name, annotation, self.line, before)

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


def annotations_file(folder: Path) -> Path:
    """``annotations.jsonl`` of an ANNOTATIONS_DIR.

    :raises InputError: when it is missing or empty.
    """
    path = folder / "annotations.jsonl"
    if not path.is_file() or not path.stat().st_size:
        raise InputError(f"{path}: missing or empty; make it with: olmo-anchor annotate")
    return path
