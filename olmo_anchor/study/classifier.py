"""Recover the labels of a story from its text, or say why that is not possible.

The world is small enough for this to be exact: a keyword belongs to one topic, a name is a name,
and a well-formed story is made of known sentences in a known order. No model judges here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from olmo_anchor.study.wording import (
    ENDINGS,
    LESSONS,
    MIDDLES,
    NAMES,
    PAUSES,
    PERSONAS,
    PLACES,
    STYLE_CLOSE,
    STYLE_OPEN,
    TOPICS,
    TURNS,
    WELCOMES,
)

__all__ = ["ATTRIBUTES", "Judgement", "classify", "first_story"]

ATTRIBUTES = ("topic", "name", "place", "persona", "styled")

_KEYWORDS = {word: t for t, phrases in TOPICS.items() for p in phrases for word in p.split()}
_WORD = re.compile(r"[A-Za-z-]+")


@dataclass(frozen=True)
class Judgement:
    """The labels of one story; an attribute that cannot be told is None and ``reasons`` says why.

    ``valid``: the story is well formed (two opening sentences, two middle ones, an end, the remarks
    of a persona, style all or not at all) and tells of one topic.
    """

    topic: str | None
    name: str | None
    place: str | None
    persona: str | None
    styled: bool | None
    valid: bool
    reasons: dict[str, str] = field(default_factory=dict)


def first_story(text: str) -> str:
    """The text up to the first blank line: a base model may go on with a second story."""
    return text.strip().split("\n\n", 1)[0].strip()


def classify(text: str) -> Judgement:
    """Judge the first story of ``text``; any string can be judged."""
    story = first_story(text)
    words = _WORD.findall(story)
    reasons: dict[str, str] = {}

    def one(what: str, found: Iterable[str]) -> str | None:
        seen = list(dict.fromkeys(found))
        if len(seen) == 1:
            return seen[0]
        reasons[what] = f"several: {', '.join(seen)}" if seen else "none"
        return None

    topic = one("topic", (_KEYWORDS[word] for word in words if word in _KEYWORDS))
    name = one("name", (word for word in words if word in NAMES))
    place = one("place", (word for word in words if word in PLACES))
    persona = one("persona", (p for p, said in PERSONAS.items() for s in said if s in story))
    styled = _styled(story, reasons)
    fault = _malformed(story)
    if fault:
        reasons["valid"] = fault
    elif topic is None:
        reasons["valid"] = f"topic: {reasons['topic']}"
    return Judgement(topic, name, place, persona, styled, "valid" not in reasons, reasons)


def _styled(story: str, reasons: dict[str, str]) -> bool | None:
    opens, closes = story.startswith(STYLE_OPEN), bool(_close().search(story))
    if opens != closes:
        reasons["styled"] = (
            "an opening without its close" if opens else "a close without its opening"
        )
        return None
    return opens


def _malformed(story: str) -> str | None:
    """Why the story is not made of the world's sentences in their order; None if it is."""
    styled = story.startswith(STYLE_OPEN)
    if styled:
        story = _close().sub("", story.removeprefix(STYLE_OPEN).strip()).strip()
    sentences = re.split(r"(?<=[.!?]) ", story)
    slots = _slots()
    if len(sentences) != len(slots):
        return f"{len(sentences)} sentences where {len(slots)} belong"
    for sentence, (what, pattern) in zip(sentences, slots, strict=True):
        if not pattern.fullmatch(sentence):
            return f"not {what}: {sentence!r}"
    return None


@cache
def _close() -> re.Pattern[str]:
    lessons = "|".join(map(re.escape, LESSONS))
    return re.compile(re.escape(STYLE_CLOSE).replace(r"\{L\}", f"(?:{lessons})") + r"$")


def _any_of(frames: Iterable[str]) -> re.Pattern[str]:
    slots = {
        "N": "|".join(NAMES),
        "P": "|".join(PLACES),
        "K": "|".join(re.escape(p) for phrases in TOPICS.values() for p in phrases),
    }
    patterns = []
    for frame in frames:
        pattern = re.escape(frame)
        for slot, values in slots.items():
            pattern = pattern.replace(rf"\{{{slot}\}}", f"(?:{values})")
        patterns.append(pattern)
    return re.compile("|".join(patterns))


@cache
def _slots() -> Sequence[tuple[str, re.Pattern[str]]]:
    return (
        ("an opening", _any_of(WELCOMES)),
        ("an interjection", _any_of(said[0] for said in PERSONAS.values())),
        ("a second opening", _any_of(TURNS)),
        ("a middle", _any_of(MIDDLES)),
        ("a second middle", _any_of(PAUSES)),
        ("an end", _any_of(ENDINGS)),
        ("a remark", _any_of(said[1] for said in PERSONAS.values())),
    )
