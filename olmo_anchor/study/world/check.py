"""That a world's words can be spelled by its tokenizer, and told apart by its classifier."""

from __future__ import annotations

import re

from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.frames import words_of

__all__ = ["PUNCTUATION", "check_story", "check_words", "fault_of_text", "fault_of_value"]

PUNCTUATION = (".", ",", "!", "?", ":")
"""What may follow a word."""

_MARKS = "".join(PUNCTUATION)
_TEXT = re.compile(rf"[\w'-]+[{_MARKS}]*(?: [\w'-]+[{_MARKS}]*)*")
_VALUE = re.compile(r"[\w'-]+(?: [\w'-]+)*")

Fault = tuple[str, str]
"""Where, and what."""


def fault_of_text(text: str) -> str | None:
    """Why the tokenizer of whole words would not give a text back; None when it does."""
    if _TEXT.fullmatch(text):
        return None
    return (
        f"not words with one space between, each with {' '.join(PUNCTUATION)} after it or nothing"
    )


def fault_of_value(value: str) -> str | None:
    """Why a value cannot stand in an annotation and on a command line."""
    if _VALUE.fullmatch(value):
        return None
    return f"the value {value!r} is not words with one space between; no commas, no colons"


def check_story(world: WorldFile) -> Fault | None:
    """The first reason why a story might not show an attribute, or not have phrases enough."""
    for name, numbers in world.slots().items():
        where, attribute = f"attributes: {name}", world.attributes[name]
        if None in numbers and len(numbers) > 1:
            return (where, f"has slots both with and without a number: {{{name}}}, {{{name}.1}}")
        shown = (
            all(any(slot.attribute == name for slot in frame.slots) for frame in frames)
            for frames in world.story.values()
        )
        if not any(shown):
            return (
                where,
                f"no sentence of the story always shows it: {{{name}}} in each of its frames",
            )
        needed = world.drawn()[name]
        for value, phrases in attribute.values.items():
            if 1 < len(phrases) < needed:
                return (
                    f"{where}: {value}",
                    f"{len(phrases)} phrases where {needed} sentences show another one each; give "
                    "one, or enough",
                )
    return None


def check_words(world: WorldFile) -> Fault | None:
    """The first reason why an attribute cannot be told from a story.

    What fills a slot without a number is told by each of its words; what fills one with a number is
    told as a whole.
    """
    slots = world.slots()
    elsewhere = _literals(world)
    whole: dict[str, Fault] = {}
    for name, numbers in slots.items():
        if None not in numbers:
            for value, phrases in world.attributes[name].values.items():
                for phrase in phrases:
                    here = f"attributes: {name}: {value}"
                    for other, (there, _) in whole.items():
                        if phrase in other or other in phrase:
                            return here, f"{phrase!r} and {other!r} of {there} contain one another"
                    for text, where in elsewhere:
                        if phrase in text:
                            return here, f"{phrase!r} stands in {text!r} of {where}"
                    whole[phrase] = (here, value)
    fixed = [*elsewhere, *((phrase, where) for phrase, (where, _) in whole.items())]
    taken = {word: (text, where) for text, where in fixed for word in words_of(text)}
    owners: dict[str, tuple[str, str]] = {}
    for name, numbers in slots.items():
        if None in numbers:
            for value, phrases in world.attributes[name].values.items():
                here = f"attributes: {name}: {value}"
                if fault := _check_phrases(phrases, here, taken, owners):
                    return fault
    return None


def _check_phrases(
    phrases: tuple[str, ...],
    here: str,
    taken: dict[str, tuple[str, str]],
    owners: dict[str, tuple[str, str]],
) -> Fault | None:
    for k, phrase in enumerate(phrases):
        if fault := fault_of_value(phrase):
            return here, fault.replace("the value", "the phrase")
        for other in phrases[:k]:
            if f" {phrase} " in f" {other} " or f" {other} " in f" {phrase} ":
                return here, f"the phrases {other!r} and {phrase!r} contain one another"
        for word in words_of(phrase):
            if word in taken:
                text, where = taken[word]
                return here, f"its word {word!r} stands in {text!r} of {where} too"
            if owners.setdefault(word, (here, phrase))[0] != here:
                there, other = owners[word]
                return here, f"its word {word!r} stands in {other!r} of {there} too"
    return None


def _literals(world: WorldFile) -> list[tuple[str, str]]:
    """(text, where) of all that every story may say, whatever it tells of."""
    found = [
        (literal, f"story: {what}")
        for what, frames in world.story.items()
        for frame in frames
        for literal in frame.literals
    ]
    found.append((world.opening, "style: opening"))
    return [*found, *((text, "style: closing") for text in world.closing)]
