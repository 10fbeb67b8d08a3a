"""What is in annotations: tags, values, tokens and repetition, counted in one pass.

Memory holds a counter of the values of each key and eight bytes per annotation.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from olmo_anchor.annotation import Annotation
from olmo_anchor.corpus.overlay import MAX_ANNOTATION_TOKENS
from olmo_anchor.corpus.overlay_records import AnnotationEncoder
from olmo_anchor.progress import progress
from olmo_anchor.quality.read import AnnotationsDir, Entry
from olmo_anchor.quality.rules import Rules
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["Counts", "Duplicate", "Key", "count", "most_repeated"]


@dataclass
class Key:
    """:param values: how often each stands, repeats inside one annotation included.
    :param annotations: that have the key.
    """

    values: Counter[str] = field(default_factory=Counter)
    annotations: int = 0

    def alike(self, key: str) -> int:
        """How many distinct values there would be fewer without case, spacing and Unicode forms."""
        rules = Rules(keep_case=())
        return len(self.values) - len({rules.value(key, value) for value in self.values})


@dataclass
class Counts:
    """Of all annotations of a folder.

    :param tags: how many annotations have so many tags.
    :param tokens: how many have so many tokens, both delimiters included; empty without a
        tokenizer.
    :param unspellable: annotations that the tokenizer cannot give back; the overlay rejects them.
    :param repeating: annotations that have one tag twice.
    :param repeats: tags that stand in the same annotation already.
    """

    keys: dict[str, Key]
    annotations: int = 0
    tags: Counter[int] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)
    unspellable: int = 0
    repeating: int = 0
    repeats: int = 0
    hashes: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, annotation: Annotation) -> None:
        self.annotations += 1
        self.tags[len(annotation.tags)] += 1
        for tag in annotation.tags:
            self.keys[tag.key].values[tag.value] += 1
        for key in {tag.key for tag in annotation.tags}:
            self.keys[key].annotations += 1
        repeats = len(annotation.tags) - len(set(annotation.tags))
        self.repeating += bool(repeats)
        self.repeats += repeats
        self.hashes.append(_hash(annotation))

    @property
    def too_long(self) -> int:
        """Annotations that the overlay rejects by default."""
        return sum(n for length, n in self.tokens.items() if length > MAX_ANNOTATION_TOKENS)

    @property
    def duplicates(self) -> int:
        """Annotations that are equal, tag for tag, to another one of the folder."""
        _, times = self._times()
        return int(times[times > 1].sum())

    def most_repeated(self, most: int) -> dict[int, int]:
        """The hashes of the annotations that stand most often, and how often that is."""
        hashes, times = self._times()
        order = np.argsort(-times, kind="stable")[:most]
        return {int(hashes[at]): int(times[at]) for at in order if times[at] > 1}

    def _times(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        hashes = np.frombuffer(self.hashes, np.uint64)
        unique, times = np.unique(hashes, return_counts=True)
        return unique, times.astype(np.int64)


def _hash(annotation: Annotation) -> int:
    digest = hashlib.blake2b(annotation.text().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def count(annotations: AnnotationsDir, tokenizer: AnchorTokenizer | None) -> Counts:
    """Read a folder through.

    :raises InputError: as :meth:`AnnotationsDir.records`.
    """
    counts = Counts({key: Key() for key in annotations.schema.keys})
    encoder = AnnotationEncoder(tokenizer, sys.maxsize) if tokenizer else None
    with progress("counting annotations", annotations.manifest.counts.get("annotations")) as step:
        for entry in annotations.records():
            assert entry.annotation is not None
            step()
            counts.add(entry.annotation)
            if encoder is None:
                continue
            try:
                counts.tokens[len(encoder.encode(entry.annotation)[0])] += 1
            except ValueError:
                counts.unspellable += 1
    return counts


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An annotation that stands more than once."""

    annotation: Annotation
    times: int


def most_repeated(counts: Counts, entries: Iterable[Entry], most: int) -> list[Duplicate]:
    """The annotations that stand most often, most often first.

    :param entries: the records again, read as far as needed: hashes alone were kept of them.
    """
    left = counts.most_repeated(most)
    found = []
    for entry in entries:
        if not left:
            break
        if entry.annotation is not None and (times := left.pop(_hash(entry.annotation), 0)):
            found.append(Duplicate(entry.annotation, times))
    return sorted(found, key=lambda duplicate: -duplicate.times)
