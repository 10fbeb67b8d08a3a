"""Tags and their text form: one ``key:value`` per line (paper, appendix B.4).

An annotation says what a chunk of text is about::

    topic:pirates
    entity:Anne Bonny
    entity:Jack Rackham

Nothing here knows of tokens; ``tokenizer.py`` turns an annotation into ids, ``spans.py`` reads its
structure back from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "MAX_VALUE_CHARS",
    "PAPER_SCHEMA",
    "Annotation",
    "Dropped",
    "Parsed",
    "Schema",
    "Tag",
    "parse",
]

MAX_VALUE_CHARS = 200
"""No value is longer, whatever a schema says (characters)."""

_KEY = re.compile(r"[a-z][a-z0-9_]*")


def _key_fault(key: str) -> str | None:
    if _KEY.fullmatch(key):
        return None
    return f"the key {key!r} is not of the form [a-z][a-z0-9_]*"


def _value_fault(value: str) -> str | None:
    if not value:
        return "the value is empty"
    if value != value.strip():
        return "the value has white space at its ends"
    if value.splitlines() != [value]:
        return "the value has more than one line"
    if len(value) > MAX_VALUE_CHARS:
        return f"the value has {len(value)} characters, more than {MAX_VALUE_CHARS}"
    if any("\ud800" <= char <= "\udfff" for char in value):
        return "the value holds a lone surrogate, which is not text"
    return None


@dataclass(frozen=True, slots=True)
class Tag:
    """One ``key:value``.

    :param key: ``[a-z][a-z0-9_]*``.
    :param value: one trimmed, non-empty line of at most :data:`MAX_VALUE_CHARS` characters; it may
        contain ``:``.
    :raises ValueError: when either is not so.
    """

    key: str
    value: str

    def __post_init__(self) -> None:
        if fault := _key_fault(self.key) or _value_fault(self.value):
            raise ValueError(fault)

    def __str__(self) -> str:
        return f"{self.key}:{self.value}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """An ordered list of tags. Keys may repeat; order and repeats are kept."""

    tags: tuple[Tag, ...] = ()

    @classmethod
    def of(cls, *pairs: tuple[str, str]) -> Annotation:
        """Build from ``(key, value)`` pairs; raises :class:`ValueError` as :class:`Tag` does."""
        return cls(tuple(Tag(key, value) for key, value in pairs))

    def text(self) -> str:
        """One tag per line without a newline at the end; empty when there are no tags."""
        return "\n".join(map(str, self.tags))

    def get(self, key: str) -> tuple[str, ...]:
        """The values of ``key`` in order."""
        return tuple(tag.value for tag in self.tags if tag.key == key)

    def pairs(self) -> list[list[str]]:
        """The JSON form: ``[[key, value], ...]``."""
        return [[tag.key, tag.value] for tag in self.tags]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A line that :func:`parse` could not use, and why."""

    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    annotation: Annotation
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """Which annotations are allowed.

    :param keys: the allowed keys.
    :param max_tags: per annotation.
    :param max_value_chars: per value; at most :data:`MAX_VALUE_CHARS`.
    """

    keys: tuple[str, ...]
    max_tags: int = 16
    max_value_chars: int = 80
    name: str = "custom"

    def __post_init__(self) -> None:
        for key in self.keys:
            if fault := _key_fault(key):
                raise ValueError(f"schema {self.name!r}: {fault}")
        if not self.keys:
            raise ValueError(f"schema {self.name!r} allows no key")
        if self.max_tags < 1 or not 1 <= self.max_value_chars <= MAX_VALUE_CHARS:
            raise ValueError(
                f"schema {self.name!r}: max_tags is at least 1 and max_value_chars between 1 and "
                f"{MAX_VALUE_CHARS}"
            )

    def refuse_tag(self, tag: Tag) -> str | None:
        """The reason why the schema does not allow ``tag``; None when it does."""
        if tag.key not in self.keys:
            return f"the key {tag.key!r} is not in the schema {self.name!r}"
        if len(tag.value) > self.max_value_chars:
            return (
                f"the value of {tag.key!r} has {len(tag.value)} characters, the schema "
                f"{self.name!r} allows {self.max_value_chars}"
            )
        return None

    def refuse(self, annotation: Annotation) -> str | None:
        """The first reason why the schema does not allow ``annotation``; None when it does."""
        if len(annotation.tags) > self.max_tags:
            return f"{len(annotation.tags)} tags, the schema {self.name!r} allows {self.max_tags}"
        return next(filter(None, map(self.refuse_tag, annotation.tags)), None)


PAPER_SCHEMA = Schema(
    keys=(
        "topic",
        "domain",
        "entity",
        "action",
        "location",
        "time",
        "sentiment",
        "style",
        "language",
        "setting",
    ),
    name="paper",
)
"""The common tag types of the paper's appendix B.4, and ``setting``."""


def parse(text: str, schema: Schema | None = None) -> Parsed:
    """Read the text form; total: any string gives an annotation and what was dropped from it.

    Lines are ended by ``\\n`` alone. White space around a line and around its value is trimmed;
    blank lines are passed over in silence. With a schema, tags that it refuses are dropped, and
    tags past its ``max_tags``.
    """
    tags: list[Tag] = []
    dropped: list[Dropped] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped:
            continue
        key, colon, value = stripped.partition(":")
        reason = None if colon else "there is no ':' in the line"
        value = value.strip()
        reason = reason or _key_fault(key) or _value_fault(value)
        if reason is None:
            tag = Tag(key, value)
            if schema is not None:
                reason = schema.refuse_tag(tag)
                if reason is None and len(tags) >= schema.max_tags:
                    reason = f"more than the {schema.max_tags} tags that the schema allows"
            if reason is None:
                tags.append(tag)
                continue
        dropped.append(Dropped(line, reason))
    return Parsed(Annotation(tuple(tags)), tuple(dropped))
