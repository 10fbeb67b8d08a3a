"""Sentences with slots, such as ``{name} saw the {topic}.``"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from string import Formatter

__all__ = ["Frame", "Slot", "words_of"]

_SLOT = re.compile(r"([a-z][a-z0-9_]*)(?:\.([1-9][0-9]*))?")
_WORD = re.compile(r"[\w'-]+")


@dataclass(frozen=True, slots=True)
class Slot:
    """:param number: of the phrase of the attribute's value, from 1; None for any of them."""

    attribute: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Text and slots by turns."""

    parts: tuple[str | Slot, ...]

    @classmethod
    def read(cls, text: str) -> Frame:
        """:raises ValueError: for braces that hold no slot."""
        parts: list[str | Slot] = []
        for literal, name, spec, conversion in Formatter().parse(text):
            if literal:
                parts.append(literal)
            if name is not None:
                found = _SLOT.fullmatch(name)
                if found is None or spec or conversion:
                    raise ValueError(f"{{{name}}} is not {{attribute}} or {{attribute.1}}")
                parts.append(Slot(found[1], int(found[2]) if found[2] else None))
        return cls(tuple(parts))

    @property
    def slots(self) -> list[Slot]:
        return [part for part in self.parts if isinstance(part, Slot)]

    @property
    def literals(self) -> list[str]:
        return [part for part in self.parts if isinstance(part, str)]

    def fault(self) -> str | None:
        """Why what fills a slot would not be words of its own; None where it is."""
        marked = self.fill(lambda slot: "\0")
        return "a slot is glued to a word" if re.search(r"[^ ]\0|\0[\w'-]|\0\0", marked) else None

    def fill(self, phrase: Callable[[Slot], str]) -> str:
        return "".join(part if isinstance(part, str) else phrase(part) for part in self.parts)

    def pattern(self, phrases: Callable[[Slot], Iterable[str]]) -> str:
        """A regular expression of the frame with any of the phrases in its slots."""

        def any_of(slot: Slot) -> str:
            return f"(?:{'|'.join(map(re.escape, phrases(slot)))})"

        return "".join(re.escape(p) if isinstance(p, str) else any_of(p) for p in self.parts)


def words_of(text: str) -> list[str]:
    """The words of a text without its punctuation, in order."""
    return _WORD.findall(text)
