"""What the classifier reads from the stories of a world, against what they were written from.

Of stories as they are it reads everything back; models write worse ones. So it is also asked of
stories in which each word is replaced by another word of the world with a small chance.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.corpus.jsonl import read_lines
from olmo_anchor.errors import InputError
from olmo_anchor.study.world.check import PUNCTUATION
from olmo_anchor.study.world.classifier import Classifier
from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.tokenizer import vocabulary
from olmo_anchor.study.world.truth import read_labels

__all__ = ["SHARES", "Confusion", "confuse", "labelled_stories"]

SHARES = (0.0, 0.01, 0.02, 0.05)
"""Of the words of a story, replaced."""

Labels = dict[str, Any]

_WORD = re.compile(r"[\w'-]+")


@dataclass
class Confusion:
    """:param share: of the words, replaced by others.
    :param right, unsure: stories by attribute whose label was read, or could not be told.
    :param wrong: stories by (attribute, label, what was read in its place).
    """

    share: float
    stories: int = 0
    valid: int = 0
    right: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    wrong: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def recall(self, attribute: str) -> float:
        return self.right[attribute] / self.stories

    def misread(self, attribute: str) -> float:
        """The share of the stories that were read as of another value."""
        return sum(n for (name, *_), n in self.wrong.items() if name == attribute) / self.stories

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "words_replaced": self.share,
            "stories": self.stories,
            "valid": self.valid / self.stories,
        }
        for name in dict.fromkeys([*self.right, *self.unsure]):
            off = [[label, said, n] for (of, label, said), n in self.wrong.items() if of == name]
            found[name] = {
                "recall": self.recall(name),
                "not_told": self.unsure[name] / self.stories,
                "read_as_another": sorted(off, key=lambda one: (-one[2], one[:2])),
            }
        return found


def labelled_stories(folder: Path, documents: int | None = None) -> Iterator[tuple[str, Labels]]:
    """The stories in the folder of a world, and the labels of each.

    :param documents: only of the first so many.
    :raises InputError: when the files do not fit.
    """
    labels: dict[str, dict[int, Labels]] = {}
    for record in read_labels(folder / "labels.jsonl"):
        labels.setdefault(record["id"], {})[record["chunk"]] = record["labels"]
    for line, raw in islice(read_lines(folder / "documents.jsonl"), documents):
        record = orjson.loads(raw)
        chunks = record["text"].split("\n\n")
        for chunk, known in labels.get(record["id"], {}).items():
            if chunk >= len(chunks):
                raise InputError(f"{folder / 'documents.jsonl'}: line {line}: has no chunk {chunk}")
            yield chunks[chunk], known


def confuse(
    world: WorldFile, stories: Iterable[tuple[str, Labels]], share: float, seed: int = 0
) -> Confusion:
    """Classify stories in which each word is another one with the chance ``share``."""
    judge, found = Classifier(world), Confusion(share)
    words = [word for word in vocabulary(world)[2:] if word not in PUNCTUATION]
    rng = random.Random(f"confusion {seed} {share}")
    for text, known in stories:
        verdict = judge(_replace(text, words, share, rng))
        read = {**verdict.labels, "styled": verdict.styled}
        found.stories += 1
        found.valid += verdict.valid
        for name, label in known.items():
            if read[name] == label:
                found.right[name] += 1
            elif read[name] is None:
                found.unsure[name] += 1
            else:
                found.wrong[name, str(label), str(read[name])] += 1
    return found


def _replace(text: str, words: list[str], share: float, rng: random.Random) -> str:
    def other(found: re.Match[str]) -> str:
        if rng.random() >= share:
            return found[0]
        new = rng.choice(words)
        while new == found[0]:
            new = rng.choice(words)
        return new

    return _WORD.sub(other, text)
