"""The story world: stories, requests and documents drawn from known labels.

What can be said is the world file's (:mod:`olmo_anchor.study.world.file`); here it is drawn. In the
manner of SimpleStories (arXiv 2504.09184) every story has latent labels, so that what a model says
can be judged exactly. Everything is a pure function of the file and the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.frames import Slot

__all__ = [
    "Document",
    "Labels",
    "Request",
    "Story",
    "StoryWorld",
    "ask",
    "request",
    "stream",
    "write_story",
]


@dataclass(frozen=True)
class Labels:
    """What a story is about and how it is told.

    :param values: by attribute.
    """

    values: Mapping[str, str]
    styled: bool = False

    def record(self) -> dict[str, Any]:
        return {**self.values, "styled": self.styled}


@dataclass(frozen=True)
class Story:
    labels: Labels
    text: str


@dataclass(frozen=True)
class Request:
    """:param named: the values that it names, by attribute; it leaves open what is not there."""

    text: str
    named: Mapping[str, str]


@dataclass(frozen=True)
class Document:
    """A pretraining document: a request or none, then one or two stories, with blank lines
    between."""

    request: Request | None
    stories: tuple[Story, ...]

    @property
    def text(self) -> str:
        pieces = [story.text for story in self.stories]
        if self.request:
            pieces.insert(0, self.request.text)
        return "\n\n".join(pieces)

    def chunks(self) -> list[tuple[int, Story]]:
        """The stories and which chunk each is; a request is chunk 0 and no story."""
        return list(enumerate(self.stories, 1 if self.request else 0))


def request(world: WorldFile, opening: str, named: Mapping[str, str]) -> Request:
    """Ask for a story; what is named stands in the order of the world's requests."""
    said = {name: how.frame for name, how in world.naming.items() if name in named}
    parts = [frame.fill(lambda slot: named[slot.attribute]) for frame in said.values()]
    return Request(" ".join([opening, *parts]) + ".", {name: named[name] for name in said})


def stream(seed: int, what: str) -> random.Random:
    """Random numbers for one purpose, whatever else is drawn."""
    return random.Random(f"olmo_anchor story world {seed} {what}")


def ask(
    world: WorldFile, rng: random.Random, labels: Mapping[str, str], shares: Mapping[str, float]
) -> Request:
    """Draw a request that names what the story tells, each attribute as often as ``shares``."""
    said = [name for name, share in shares.items() if rng.random() < share]
    named = {name: labels[name] for name in said if name in labels}
    return request(world, rng.choice(world.openings), named)


def write_story(world: WorldFile, labels: Labels, rng: random.Random) -> Story:
    """Tell a story: one of the frames of each sentence, with phrases of its labels."""
    phrases = {name: world.attributes[name].values[value] for name, value in labels.values.items()}
    left = {
        name: iter(rng.sample(phrases[name], count))
        for name, count in world.drawn().items()
        if count and len(phrases[name]) > 1
    }

    def tell(new: Mapping[str, str], slot: Slot) -> str:
        if slot.number is not None:
            return phrases[slot.attribute][slot.number - 1]
        return new.get(slot.attribute) or phrases[slot.attribute][0]

    lines = []
    for frames in world.story.values():
        # A sentence takes another phrase whether or not this frame shows it.
        free = {s.attribute for f in frames for s in f.slots if s.number is None}
        new = {name: next(some) for name, some in left.items() if name in free}
        frame = frames[0] if len(frames) == 1 else rng.choice(frames)
        lines.append(frame.fill(partial(tell, new)))
    if labels.styled:
        lines[0] = f"{world.opening} {lines[0]}"
        lines.append(rng.choice(world.closing))
    return Story(labels, " ".join(lines))


@dataclass(frozen=True)
class StoryWorld:
    """Draws documents and conversations. Each kind has a stream of its own, so that asking for more
    of one changes nothing in the other, nor in what came before."""

    file: WorldFile
    seed: int = 0

    def _labels(self, rng: random.Random) -> dict[str, str]:
        return {name: rng.choice(values) for name, values in self.file.values.items()}

    def documents(self, count: int) -> Iterator[Document]:
        """Yield pretraining documents: every value of every attribute equally likely."""
        rng = stream(self.seed, "documents")
        corpus, about = self.file.corpus, self.file.about
        shares = {name: how.pretraining for name, how in self.file.naming.items()}
        for _ in range(count):
            labels = self._labels(rng)
            asked = None
            if rng.random() < corpus.requests:
                asked = ask(self.file, rng, labels, shares)
            told = [labels]
            if rng.random() < corpus.two_stories:
                same = {about: labels[about], **(asked.named if asked else {})}
                told.append({**self._labels(rng), **same})
            stories = tuple(
                write_story(self.file, Labels(one, rng.random() < corpus.styled), rng)
                for one in told
            )
            yield Document(asked, stories)

    def conversations(
        self, count: int, only: Mapping[str, Sequence[str]] | None = None
    ) -> Iterator[tuple[Request, Story]]:
        """Yield SFT pairs, always styled.

        Every choice has a stream of its own, so that data with other values of one attribute are
        the same in all others: the same names, places, requests and sentences.

        :param only: the values of some attributes, each equally likely; others have all of theirs.
            Default: the demo's.
        """
        values = {**self.file.values, **(self.file.sft if only is None else only)}
        shares = {name: how.sft for name, how in self.file.naming.items()}
        for i in range(count):
            here = f"conversation {i}"
            labels = {
                name: stream(self.seed, f"{here} {name}").choice(some)
                for name, some in values.items()
            }
            asked = ask(self.file, stream(self.seed, f"{here} request"), labels, shares)
            story = Labels(labels, styled=True)
            yield asked, write_story(self.file, story, stream(self.seed, f"{here} story"))
