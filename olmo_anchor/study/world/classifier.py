"""Recover the labels of a story from its text, or say why that is not possible.

A world is small enough for this to be exact: a word of a phrase belongs to one value, and a
well-formed story is made of known sentences in a known order. No model judges here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.judges.base import Verdict
from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.frames import words_of

__all__ = ["Classifier", "first_story"]

_SENTENCE = re.compile(r".*?[.!?](?= |$)|.*", re.DOTALL)


def first_story(text: str) -> str:
    """The text up to the first blank line: a base model may go on with a second story."""
    return text.strip().split("\n\n", 1)[0].strip()


class Classifier:
    """Judges the first story of a text; any string can be judged.

    Of its verdicts: an attribute that cannot be told is None. A story is valid that is well formed
    (the sentences of the world in their order, style all or not at all) and tells of one thing.

    :ivar values: all values of each attribute.
    :raises InputError: for a world whose stories come from a data set.
    """

    def __init__(self, world: WorldFile) -> None:
        if not world.story:
            raise InputError(
                f"the world {world.name}: its stories come from a data set, and only a language "
                "model can read their labels (docs/judges.md)"
            )
        self.name = world.name
        self.values: Mapping[str, Sequence[str]] = world.values
        self._about = world.about
        self._opening = world.opening
        self._closing = re.compile(f"(?:{'|'.join(map(re.escape, world.closing))})$")
        self._words: dict[str, dict[str, str]] = {}
        self._phrases: dict[str, list[tuple[str, str]]] = {}
        for name, numbers in world.slots().items():
            shown = [
                (phrase, value)
                for value, phrases in world.attributes[name].values.items()
                for phrase in phrases
            ]
            if None in numbers:
                self._words[name] = {word: v for phrase, v in shown for word in words_of(phrase)}
            else:
                self._phrases[name] = shown
        self._sentences = [
            (what, re.compile(f"(?:{'|'.join(f.pattern(world.phrases) for f in frames)})(?= |$)"))
            for what, frames in world.story.items()
        ]

    def __call__(self, response: str) -> Verdict:
        story = first_story(response)
        reasons: dict[str, str] = {}

        def one(what: str, found: Iterable[str]) -> str | None:
            seen = list(dict.fromkeys(found))
            if len(seen) == 1:
                return seen[0]
            reasons[what] = f"several: {', '.join(seen)}" if seen else "none"
            return None

        words = words_of(story)
        labels = {name: one(name, self._found(name, story, words)) for name in self.values}
        styled = self._styled(story, reasons)
        if fault := self._malformed(story):
            reasons["valid"] = fault
        elif labels[self._about] is None:
            reasons["valid"] = f"{self._about}: {reasons[self._about]}"
        return Verdict(labels, "valid" not in reasons, styled, reasons)

    def _found(self, name: str, story: str, words: Iterable[str]) -> Iterable[str]:
        if owners := self._words.get(name):
            return (owners[word] for word in words if word in owners)
        return (value for phrase, value in self._phrases[name] if phrase in story)

    def _styled(self, story: str, reasons: dict[str, str]) -> bool:
        opens, closes = story.startswith(self._opening), bool(self._closing.search(story))
        if opens != closes:
            reasons["styled"] = (
                "an opening without its close" if opens else "a close without its opening"
            )
        return opens and closes

    def _malformed(self, story: str) -> str | None:
        """Why the story is not made of the world's sentences in their order; None if it is."""
        if story.startswith(self._opening):
            story = self._closing.sub("", story.removeprefix(self._opening)).strip()
        at = 0
        for what, pattern in self._sentences:
            found = pattern.match(story, at)
            if found is None:
                rest = _SENTENCE.match(story, at)
                assert rest is not None
                return f"not {what}: {rest[0]!r}"
            at = found.end() + 1
        return f"more than a story: {story[at:]!r}" if story[at:] else None
