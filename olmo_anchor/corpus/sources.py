"""What ``olmo-anchor tokenize`` reads: JSONL and Parquet files, folders of them, hub data sets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from olmo_anchor.corpus.documents import BadRecord, Record, parse_conversation, parse_document
from olmo_anchor.corpus.hub import PREFIX, HubSplit
from olmo_anchor.corpus.jsonl import JsonlFile
from olmo_anchor.corpus.parquet import ParquetFile
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import FileRecord

__all__ = ["Source", "check_source", "open_sources", "read_batches", "stem"]

_IN_FOLDERS = (
    *(".jsonl", ".jsonl.gz", ".jsonl.zst"),
    *(".json.gz", ".json.zst"),  # Dolma's shards
    ".parquet",
)


class Source(Protocol):
    """One input, or one file of a folder.

    ``label`` is what messages call it, ``name`` what records without an id are named after,
    ``size`` its bytes, where known.
    """

    @property
    def label(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def size(self) -> int | None: ...

    def check(self) -> tuple[FileRecord, int | None]:
        """Make sure that it can be read to its end.

        :returns: what it is known by, and how many records it has about.
        :raises InputError: when it cannot.
        """

    def batches(self) -> Iterator[list[Record]]:
        """Its records in order, some at a time; memory holds a few blocks.

        :raises InputError: when it cannot be read.
        """


def open_sources(inputs: Sequence[str | Path], out: Path) -> list[Source]:
    """One source for each input, for a folder one for each file below it, in order of their paths.

    :param out: the output folder, which must not hold an input.
    :raises InputError: when there is no such input, or a folder holds nothing that can be read.
    """
    sources: list[Source] = []
    for given in map(str, inputs):
        if given.startswith(PREFIX):
            sources.append(HubSplit(given, len(sources)))
            continue
        path = Path(given)
        if not path.exists():
            raise InputError(f"{path}: no such file")
        found = _below(path) if path.is_dir() else [(path, stem(path))]
        if not found:
            raise InputError(f"{path}: is a folder without files to read: {', '.join(_IN_FOLDERS)}")
        for file, name in found:
            if not file.is_file():
                raise InputError(f"{file}: is a pipe, and inputs are read twice; give a file")
            if file.resolve().is_relative_to(out.resolve()):
                raise InputError(f"{file}: lies inside the output folder {out}")
            kind = ParquetFile if file.suffix == ".parquet" else JsonlFile
            sources.append(kind(file, name, len(sources)))
    return sources


def stem(path: Path) -> str:
    """The name of an input without ``.jsonl``, ``.jsonl.gz`` and the like."""
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    for suffix in (".jsonl", ".json", ".parquet"):
        name = name.removesuffix(suffix)
    return name


def _below(folder: Path) -> list[tuple[Path, str]]:
    """The files of a tree and their names, which tell where in it they lie.

    Left out are what is hidden and what our commands wrote.
    """
    found = []
    for at, folders, files in os.walk(folder, followlinks=True):
        if ".olmo-anchor" in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(at, name)
            for name in files
            if name.endswith(_IN_FOLDERS) and not name.startswith(".")
        ]
    found.sort()
    return [(path, str(path.relative_to(folder).with_name(stem(path)))) for path in found]


def check_source(source: Source, *, chat: bool) -> tuple[FileRecord, int | None]:
    """As :meth:`Source.check`, and make sure that it holds a record that can be used.

    :raises InputError: when it does not, with the first fault.
    """
    checked = source.check()
    parse = parse_conversation if chat else parse_document
    count, first_fault = 0, ""
    for batch in source.batches():
        for record in batch:
            count += 1
            try:
                parse(record.raw)
            except BadRecord as bad:
                first_fault = first_fault or f"line {record.line}: {bad}"
            else:
                return checked
    if not count:
        raise InputError(f"{source.label}: is empty")
    expected = '{"id", "messages"}' if chat else '{"id", "text"}'
    other = parse_document if chat else parse_conversation
    hint = _hint(source, other, "leave out --chat" if chat else "give --chat")
    raise InputError(
        f"{source.label}: none of its {count} records can be used; {first_fault}. "
        f"Expected one JSON object {expected} per line{hint}"
    )


def _hint(source: Source, parse_other: Any, cure: str) -> str:
    try:
        parse_other(next(source.batches())[0].raw)
    except BadRecord:
        return ""
    return f"; for this file, {cure}"


def read_batches(sources: Sequence[Source], skip: int = 0) -> Iterator[list[Record]]:
    """The records of all sources in order, without the first ``skip``."""
    for source in sources:
        for batch in source.batches():
            if skip < len(batch):
                yield batch[skip:] if skip else batch
            skip = max(0, skip - len(batch))
