"""Reading documents and conversations from JSONL, one record per line, also ``.gz`` and ``.zst``.

A record is either a document, ``{"id": ..., "text": ...}``, or a conversation in TULU form,
``{"id": ..., "messages": [{"role": ..., "content": ...}, ...]}``. Other fields are not read. Lines
that are blank are no records. A record without an id is named after its file and line.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import zstandard

from olmo_anchor.chat import ROLES
from olmo_anchor.errors import InputError

__all__ = [
    "BadRecord",
    "Conversation",
    "Document",
    "Record",
    "check_input",
    "parse_conversation",
    "parse_document",
    "read_records",
    "stem",
]

_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """One line of an input, not parsed yet.

    :param source: the index of the file among the inputs.
    :param line: counted from 1, blank lines included.
    """

    source: int
    line: int
    raw: bytes


class BadRecord(ValueError):
    """A record that cannot be used.

    :param reason: the same words for the same fault, so that reasons can be counted.
    :param detail: what is particular to this record.
    """

    def __init__(self, reason: str, detail: str = "", name: str | None = None) -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason, self.detail, self.name = reason, detail, name


@dataclass(frozen=True, slots=True)
class Document:
    """:param crlf: how many CRLF line ends were read as LF."""

    id: str | None
    text: str
    crlf: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """:param crlf: how many CRLF line ends were read as LF."""

    id: str | None
    messages: list[dict[str, str]]
    crlf: int


# --- files ---------------------------------------------------------------------------------------


def stem(path: Path) -> str:
    """The name of an input without ``.jsonl``, ``.jsonl.gz`` and the like."""
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    return name.removesuffix(".jsonl").removesuffix(".json")


def read_records(path: Path, source: int = 0) -> Iterator[Record]:
    """The records of one file, as they stand there; memory holds a record and a block.

    :raises InputError: when the file cannot be opened or decompressed, or ends too early.
    """
    try:
        for number, line in enumerate(_lines(_blocks(path)), 1):
            if number == 1:
                line = line.removeprefix(_BOM)
            if line and not line.isspace():
                yield Record(source, number, line)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except EOFError:
        raise InputError(
            f"{path}: ends in the middle of its compressed data; copy it again"
        ) from None
    except (OSError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def check_input(path: Path, *, chat: bool) -> int:
    """Read a file through, so that faults of the file are known before anything is written.

    :returns: how many records it has.
    :raises InputError: when it cannot be read to its end, or holds no record that can be used.
    """
    parse = parse_conversation if chat else parse_document
    count, usable, first_fault = 0, False, ""
    for record in read_records(path):
        count += 1
        if usable:
            continue
        try:
            parse(record.raw)
            usable = True
        except BadRecord as bad:
            first_fault = first_fault or f"line {record.line}: {bad}"
    if not count:
        raise InputError(f"{path}: is empty")
    if not usable:
        expected = '{"id", "messages"}' if chat else '{"id", "text"}'
        other = parse_document if chat else parse_conversation
        hint = _hint(path, other, "leave out --chat" if chat else "give --chat")
        raise InputError(
            f"{path}: none of its {count} records can be used; {first_fault}. "
            f"Expected one JSON object {expected} per line{hint}"
        )
    return count


def _hint(path: Path, parse_other: Any, cure: str) -> str:
    try:
        parse_other(next(read_records(path)).raw)
    except BadRecord:
        return ""
    return f"; for this file, {cure}"


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if path.suffix == ".zst":
            yield from _zstd_blocks(file)
            return
        opened: Any = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        while block := opened.read(_BLOCK):
            yield block


def _zstd_blocks(file: Any) -> Iterator[bytes]:
    # `stream_reader` takes a file that was cut short for one that ends; `decompressobj` tells.
    frame = None
    while block := file.read(_BLOCK):
        while block:
            if frame is None or frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(block)
            block = frame.unused_data if frame.eof else b""
    if frame is not None and not frame.eof:
        raise EOFError


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    for block in blocks:
        first, *rest = block.split(b"\n")
        pending.append(first)
        if rest:
            yield b"".join(pending)
            yield from rest[:-1]
            pending = [rest[-1]]
    if last := b"".join(pending):
        yield last


# --- records -------------------------------------------------------------------------------------


def parse_document(raw: bytes) -> Document:
    """:raises BadRecord: when the line is no document, or an empty one."""
    record = _parse_object(raw)
    name = _parse_id(record)
    if "text" not in record:
        raise BadRecord("no `text`", f"the fields are {', '.join(record) or 'none'}"[:200], name)
    text = record["text"]
    if not isinstance(text, str):
        raise BadRecord("`text` is not a string", type(text).__name__, name)
    if not text:
        raise BadRecord("`text` is empty", name=name)
    return Document(name, text.replace("\r\n", "\n"), text.count("\r\n"))


def parse_conversation(raw: bytes) -> Conversation:
    """:raises BadRecord: when the line is no conversation, or does not end with a response."""
    record = _parse_object(raw)
    name = _parse_id(record)
    if "messages" not in record:
        fields = f"the fields are {', '.join(record) or 'none'}"[:200]
        raise BadRecord("no `messages`", fields, name)
    stored = record["messages"]
    if not isinstance(stored, list):
        raise BadRecord("`messages` is not a list", type(stored).__name__, name)
    messages, crlf = [], 0
    for number, message in enumerate(stored, 1):
        where = f"message {number}"
        if not isinstance(message, dict):
            raise BadRecord("a message is not an object", where, name)
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise BadRecord(
                f"a role is not one of {', '.join(ROLES)}", f"{where}: {role!r:.80}", name
            )
        if not isinstance(content, str):
            raise BadRecord("a message's `content` is not a string", where, name)
        crlf += content.count("\r\n")
        messages.append({"role": role, "content": content.replace("\r\n", "\n")})
    if not any(message["role"] == "assistant" for message in messages):
        raise BadRecord("no assistant turn", name=name)
    if messages[-1]["role"] != "assistant":
        raise BadRecord("does not end with the assistant's turn", name=name)
    if not messages[-1]["content"]:
        raise BadRecord("the final response is empty", name=name)
    return Conversation(name, messages, crlf)


def _parse_object(raw: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "UTF-8" in error.msg:
            raise BadRecord("not valid UTF-8") from None
        if "surrogate" in error.msg:
            raise BadRecord("a lone surrogate", f"column {error.colno}") from None
        raise BadRecord("not JSON", f"{error.msg} at column {error.colno}") from None
    if not isinstance(record, dict):
        raise BadRecord("not a JSON object", type(record).__name__)
    return record


def _parse_id(record: dict[str, Any]) -> str | None:
    name = record.get("id")
    if name is None or name == "":
        return None
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise BadRecord("`id` is neither a string nor a whole number", type(name).__name__)
    # OLMo-core reads the `.csv.gz` that holds the id line by line.
    if isinstance(name, str) and ("\n" in name or "\r" in name):
        raise BadRecord("`id` holds a line break", f"{name!r:.80}")
    return str(name)
