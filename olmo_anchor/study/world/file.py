"""A story world: what stories are about, and how they say it.

Read from a YAML file by :mod:`olmo_anchor.study.world.read`; docs/world.md explains each field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olmo_anchor.study.world.frames import Frame, Slot

__all__ = ["Attribute", "Corpus", "Naming", "WorldFile"]


@dataclass(frozen=True)
class Attribute:
    """:param values: value to the phrases that show it in a story.
    :param subsets: by name, values that SFT data can be restricted to.
    """

    values: Mapping[str, tuple[str, ...]]
    subsets: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Naming:
    """How a request names an attribute, and how often: shares of the requests."""

    frame: Frame
    pretraining: float
    sft: float


@dataclass(frozen=True)
class Corpus:
    """Of pretraining; shares but for the number of documents.

    :param requests: of the documents begin with one.
    :param two_stories: of the documents have two.
    :param styled: of the stories are told in the style that SFT teaches.
    """

    documents: int
    requests: float
    two_stories: float
    styled: float


@dataclass(frozen=True)
class WorldFile:
    """:param about: the attribute that a story tells of.
    :param annotated: the attributes that an annotation says, in its order.
    :param story: the sentences of a story, by what they are; each is one of its frames. Empty where
        the stories come from a data set.
    :param opening, closing: what a styled story begins with, and the sentences it may end with.
    :param openings: what a request begins with.
    :param sft: values of some attributes: those of the demo's SFT data.
    :param stored: the file's own fields.
    """

    name: str
    about: str
    annotated: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    story: Mapping[str, tuple[Frame, ...]]
    opening: str
    closing: tuple[str, ...]
    openings: tuple[str, ...]
    naming: Mapping[str, Naming]
    corpus: Corpus
    sft: Mapping[str, tuple[str, ...]]
    stored: Mapping[str, Any]

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """All values of each attribute."""
        return {name: tuple(one.values) for name, one in self.attributes.items()}

    def phrases(self, slot: Slot) -> list[str]:
        """Everything that may fill a slot."""
        shown = self.attributes[slot.attribute].values.values()
        if slot.number is None:
            return [phrase for phrases in shown for phrase in phrases]
        return [phrases[slot.number - 1] for phrases in shown]

    def slots(self) -> dict[str, set[int | None]]:
        """By attribute, the numbers of its slots in the story."""
        found: dict[str, set[int | None]] = {name: set() for name in self.attributes}
        for frames in self.story.values():
            for slot in (slot for frame in frames for slot in frame.slots):
                found[slot.attribute].add(slot.number)
        return found

    def drawn(self) -> dict[str, int]:
        """By attribute, in how many sentences it may fill a slot without a number."""
        found = dict.fromkeys(self.attributes, 0)
        for frames in self.story.values():
            free = (s.attribute for f in frames for s in f.slots if s.number is None)
            for name in set(free):
                found[name] += 1
        return found
