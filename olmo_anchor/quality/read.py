"""An ANNOTATIONS_DIR, read record by record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.annotation import PAPER_SCHEMA, Annotation, Schema
from olmo_anchor.corpus.jsonl import read_lines
from olmo_anchor.corpus.overlay_records import read_annotation, record_files
from olmo_anchor.corpus.schema_file import schema_of
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import MANIFEST, Manifest, read_manifest

__all__ = ["AnnotationsDir", "Entry", "Place"]

Place = tuple[int, int, int]
"""Part, document in it, chunk in that: what orders the records of a folder."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line about one chunk.

    :param place: None for a rejected record that names no chunk.
    :param annotation: None for a rejected chunk.
    :param reason: of a rejected one.
    :param at: ``file:line`` that it stands in.
    :param raw: all that the line says.
    """

    place: Place | None
    annotation: Annotation | None
    reason: str | None
    at: str
    raw: dict[str, Any]

    @property
    def text_hash(self) -> str | None:
        """Of the text that was annotated, where the record tells it."""
        return self.raw.get("text_hash")

    @property
    def title(self) -> str:
        """What a person calls the chunk."""
        if self.place is None:
            named = (f"{name} {self.raw[name]}" for name in ("file", "line") if name in self.raw)
            return ", ".join(named) or self.at
        part, doc, chunk = self.place
        name = self.raw.get("id")
        where = f"chunk {chunk} of document {doc} of part {part}"
        return where if name is None else f"{name}: {where}"


@dataclass(frozen=True, slots=True)
class AnnotationsDir:
    """A finished ANNOTATIONS_DIR; nothing of it is held in memory."""

    folder: Path
    manifest: Manifest
    schema: Schema
    files: tuple[Path, ...]

    @classmethod
    def open(cls, folder: Path) -> AnnotationsDir:
        """:raises InputError: when the folder is unfinished, or a file of it is missing."""
        manifest = read_manifest(folder, "annotations")
        schema = PAPER_SCHEMA
        if "schema" in manifest.extra:
            schema = schema_of(manifest.extra["schema"], f"{folder}/{MANIFEST}")
        return cls(folder, manifest, schema, tuple(record_files(folder, manifest)))

    @property
    def tokens_hash(self) -> str | None:
        """The hash of the manifest of the TOKENS_DIR that was annotated."""
        return self.manifest.extra.get("tokens_manifest")

    @property
    def tokens_folder(self) -> Path | None:
        """Where that TOKENS_DIR lay, as the manifest tells."""
        for record in self.manifest.inputs:
            if record.get("sha256") == self.tokens_hash:
                return Path(record["path"]).parent
        return None

    @property
    def min_chunk_tokens(self) -> int:
        return int(self.manifest.extra.get("min_chunk_tokens", 0))

    def records(self) -> Iterator[Entry]:
        """The annotated chunks, in the order of the files.

        :raises InputError: at a line that is no record, and at the end when there are not as many
            as the manifest tells.
        """
        count = 0
        for path in self.files:
            for entry in self.file_records(path):
                count += 1
                yield entry
        self.check_count(count)

    def check_count(self, count: int) -> None:
        """:raises InputError: when the manifest tells of more records than were read, or fewer."""
        told = self.manifest.counts.get("annotations", count)
        if count != told:
            raise InputError(
                f"{self.folder}: holds {count} records, its manifest says {told}; copy the folder "
                "again, or make it again with --overwrite"
            )

    def file_records(self, path: Path) -> Iterator[Entry]:
        """The records of one of :attr:`files`.

        :raises InputError: at a line that is no record.
        """
        for line, raw in read_lines(path):
            at = f"{path}:{line}"
            try:
                stored = _object(raw)
                place = _place(stored)
                if place is None:
                    raise ValueError("part, doc and chunk are not all whole numbers from 0")
                annotation = read_annotation(stored.get("tags"), self.schema)
            except ValueError as error:
                raise InputError(
                    f"{at}: {error}; put the file back, or annotate again with --overwrite"
                ) from None
            yield Entry(place, annotation, None, at, stored)

    def rejected(self) -> Iterator[Entry]:
        """What was rejected; nothing where nothing was."""
        path = self.folder / "rejected.jsonl"
        if not path.exists():
            return
        for line, raw in read_lines(path):
            at = f"{path}:{line}"
            try:
                stored = _object(raw)
            except ValueError as error:
                raise InputError(f"{at}: {error}; put the file back") from None
            yield Entry(_place(stored), None, str(stored.get("reason", "no reason")), at, stored)

    def tokens(self, folder: Path | None = None) -> TokensDir:
        """The TOKENS_DIR that was annotated, or what is there in its place now.

        :param folder: where it lies, unless it is where it was.
        :raises InputError: when it is not there, or cannot be read.
        """
        found = folder or self.tokens_folder
        if found is None:
            raise InputError(
                f"{self.folder}: its manifest names no TOKENS_DIR; name it with --tokens DIR"
            )
        if not found.exists():
            raise InputError(
                f"{found}: no such folder; name the TOKENS_DIR that {self.folder} was made from "
                "with --tokens DIR"
            )
        tokens = TokensDir.open(found)
        tokens.check_contents()
        return tokens

    def made_from(self, tokens: TokensDir) -> bool:
        return self.tokens_hash in (None, tokens.manifest.hash)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        stored = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise ValueError("not JSON") from None
    if not isinstance(stored, dict):
        raise ValueError("not a JSON object")
    return stored


def _place(stored: dict[str, Any]) -> Place | None:
    part, doc, chunk = stored.get("part"), stored.get("doc"), stored.get("chunk")
    if not (type(part) is type(doc) is type(chunk) is int):
        return None
    return (part, doc, chunk) if min(part, doc, chunk) >= 0 else None
