"""Documents and conversations as the inputs hold them, and why one cannot be used.

A record is either a document, ``{"id": ..., "text": ...}``, or a conversation in TULU form,
``{"id": ..., "messages": [{"role": ..., "content": ...}, ...]}``. Other fields are not read. A
record without an id is named after its file and line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from olmo_anchor.chat import ROLES

__all__ = [
    "BadRecord",
    "Conversation",
    "Document",
    "Raw",
    "Record",
    "parse_conversation",
    "parse_document",
]

Raw = bytes | dict[str, Any]
"""A line of JSON, or the fields of a row; strings of a row may be UTF-8 bytes."""


class Record(NamedTuple):
    """One record of an input, not parsed yet.

    :param source: the index of the input.
    :param line: counted from 1, blank lines included; of a table, the row.
    """

    source: int
    line: int
    raw: Raw

    @property
    def size(self) -> int:
        """Bytes of the line; of a row, characters about."""
        if isinstance(self.raw, bytes):
            return len(self.raw)
        return sum(len(value) for value in self.raw.values() if isinstance(value, (str, bytes)))


class BadRecord(ValueError):
    """A record that cannot be used.

    :param reason: the same words for the same fault, so that reasons can be counted.
    :param detail: what is particular to this record.
    """

    def __init__(self, reason: str, detail: str = "", name: str | None = None) -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason, self.detail, self.name = reason, detail, name


class Document(NamedTuple):
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


def parse_document(raw: Raw) -> Document:
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
    if "\r" not in text:
        return Document(name, text, 0)
    return Document(name, text.replace("\r\n", "\n"), text.count("\r\n"))


def parse_conversation(raw: Raw) -> Conversation:
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


def _parse_object(raw: Raw) -> dict[str, Any]:
    if isinstance(raw, dict):
        return {name: _decoded(value) for name, value in raw.items()}
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


def _decoded(value: Any) -> Any:
    try:
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, str) and not value.isascii():
            value.encode()
    except UnicodeDecodeError:
        raise BadRecord("not valid UTF-8") from None
    except UnicodeEncodeError as error:
        raise BadRecord("a lone surrogate", f"character {error.start}") from None
    return value


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
