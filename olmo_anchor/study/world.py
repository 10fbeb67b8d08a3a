"""The story world: stories, requests and documents drawn from known labels.

In the manner of SimpleStories (arXiv 2504.09184): every story has a latent topic, name, place and
persona, so that what a model says can be judged exactly. Everything is a pure function of the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

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
    SUBSETS,
    TOPICS,
    TURNS,
    VERBS,
    WELCOMES,
)

__all__ = [
    "ANNOTATED",
    "DEMO",
    "VALUES",
    "Document",
    "Labels",
    "Request",
    "Story",
    "StoryWorld",
    "WorldConfig",
    "write_story",
]

Tags = list[tuple[str, str]]

VALUES: dict[str, tuple[str, ...]] = {
    "topic": tuple(TOPICS),
    "name": NAMES,
    "place": PLACES,
    "persona": tuple(PERSONAS),
}
"""The attributes of a story and what they can be."""
ANNOTATED = ("topic", "name")
"""What an annotation says, and so what anchoring keeps. Place and persona are left out."""


@dataclass(frozen=True)
class Labels:
    """What a story is about and how it is told."""

    topic: str
    name: str
    place: str
    persona: str
    styled: bool = False

    def tags(self, attributes: Sequence[str] = ANNOTATED) -> Tags:
        """The annotation of the story."""
        return [(name, getattr(self, name)) for name in attributes]

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Story:
    labels: Labels
    text: str


@dataclass(frozen=True)
class Request:
    """A request and what it names; None where it leaves the choice open."""

    verb: str
    topic: str | None = None
    name: str | None = None
    place: str | None = None

    @property
    def text(self) -> str:
        about = f" about {self.topic}" if self.topic else ""
        hero = f" with {self.name}" if self.name else ""
        where = f" at the {self.place}" if self.place else ""
        return f"{self.verb}{about}{hero}{where}."


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


@dataclass(frozen=True)
class WorldConfig:
    """How often things happen; the defaults are the demo's."""

    seed: int = 0
    documents: int = 30_000
    request_share: float = 0.85
    two_stories: float = 0.3
    styled: float = 0.05
    """Share of the pretraining stories that are told in the style of the later SFT."""
    named: tuple[float, float, float] = (0.4, 0.3, 0.2)
    """How often a pretraining request names topic, name, place."""
    sft_named: tuple[float, float, float] = (0.2, 0.2, 0.2)


DEMO: Mapping[str, tuple[str, ...]] = {
    "topic": SUBSETS["topic"]["5"],
    "persona": SUBSETS["persona"]["1"],
}
"""What the SFT data of the demo are restricted to."""


def write_story(labels: Labels, rng: random.Random) -> Story:
    """Tell a story of about 60 words: two opening sentences, two middle ones, an end."""
    opening, middle, end = rng.sample(TOPICS[labels.topic], 3)
    welcome, turn, *rest = map(rng.choice, (WELCOMES, TURNS, MIDDLES, PAUSES, ENDINGS))
    lines = [
        frame.format(N=labels.name, P=labels.place, K=phrase)
        for frame, phrase in zip(
            (welcome, turn, *rest), ("", opening, middle, "", end), strict=True
        )
    ]
    interjection, remark = PERSONAS[labels.persona]
    first = f"{STYLE_OPEN} {lines[0]}" if labels.styled else lines[0]
    last = [STYLE_CLOSE.format(L=rng.choice(LESSONS))] if labels.styled else []
    return Story(labels, " ".join([first, interjection, *lines[1:], remark, *last]))


@dataclass(frozen=True)
class StoryWorld:
    """Draws documents and conversations. Each kind has a stream of its own, so that asking for more
    of one changes nothing in the other, nor in what came before."""

    config: WorldConfig = field(default_factory=WorldConfig)

    def _stream(self, what: str) -> random.Random:
        return random.Random(f"olmo_anchor story world {self.config.seed} {what}")

    @staticmethod
    def _labels(rng: random.Random, topics: tuple[str, ...]) -> Labels:
        persona = rng.choice(tuple(PERSONAS))
        return Labels(rng.choice(topics), rng.choice(NAMES), rng.choice(PLACES), persona)

    @staticmethod
    def _request(rng: random.Random, labels: Labels, shares: tuple[float, float, float]) -> Request:
        topic, name, place = (rng.random() < share for share in shares)
        return Request(
            rng.choice(VERBS),
            topic=labels.topic if topic else None,
            name=labels.name if name else None,
            place=labels.place if place else None,
        )

    def documents(self) -> Iterator[Document]:
        """Yield the pretraining documents: every topic, name, place and persona equally likely."""
        rng = self._stream("documents")
        config = self.config
        for _ in range(config.documents):
            labels = self._labels(rng, tuple(TOPICS))
            request = None
            if rng.random() < config.request_share:
                request = self._request(rng, labels, config.named)
            told = [labels]
            if rng.random() < config.two_stories:
                other = replace(self._labels(rng, tuple(TOPICS)), topic=labels.topic)
                if request and request.name:
                    other = replace(other, name=request.name)
                if request and request.place:
                    other = replace(other, place=request.place)
                told.append(other)
            stories = tuple(
                write_story(replace(one, styled=rng.random() < config.styled), rng) for one in told
            )
            yield Document(request, stories)

    def conversations(
        self, count: int, only: Mapping[str, Sequence[str]] = DEMO
    ) -> Iterator[tuple[Request, Story]]:
        """Yield the SFT pairs, always styled: each attribute uniform over its values in ``only``,
        or over all of them.

        Every choice has a stream of its own, so that data with other values of one attribute are
        the same in all others: the same names, places, requests and sentences.
        """
        values = {**VALUES, **only}
        for i in range(count):
            here = f"conversation {i}"
            drawn = {name: self._stream(f"{here} {name}").choice(values[name]) for name in VALUES}
            labels = Labels(**drawn, styled=True)
            request = self._request(self._stream(f"{here} request"), labels, self.config.sft_named)
            yield request, write_story(labels, self._stream(f"{here} story"))
