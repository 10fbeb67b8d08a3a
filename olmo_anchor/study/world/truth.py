"""Annotations made from labels that are known: the truth, or the truth with noise.

Which tags are wrong and which documents have none is decided by hashes of what they belong to. So
the noise of a smaller share are among those of a larger one, and of every file the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.corpus.jsonl import read_lines
from olmo_anchor.errors import InputError
from olmo_anchor.study.world.hashing import uniform

__all__ = ["LabelNoise", "read_labels", "truth_records", "values_among"]

Record = dict[str, Any]


@dataclass(frozen=True)
class LabelNoise:
    """:param wrong: the share of the tags that have another value of their attribute, each other
        value equally likely.
    :param without: the share of the documents that have no annotation at all.
    """

    seed: int = 0
    wrong: float = 0.0
    without: float = 0.0

    def drops(self, document: str) -> bool:
        return uniform(self.seed, "without", document) < self.without

    def value(
        self, true: str, values: Sequence[str], document: str, chunk: int, attribute: str
    ) -> str:
        """``true``, or one of the other ``values`` in its place."""
        if uniform(self.seed, "wrong", document, chunk, attribute) >= self.wrong:
            return true
        others = [value for value in values if value != true]
        if not others:
            return true
        return others[int(uniform(self.seed, "other", document, chunk, attribute) * len(others))]


def truth_records(
    labels: Iterable[Record],
    attributes: Sequence[str],
    values: Mapping[str, Sequence[str]],
    noise: LabelNoise | None = None,
) -> Iterator[Record]:
    """Yield {id, chunk, tags} for ``annotate --annotator oracle``.

    :param labels: {id, chunk, labels}; an attribute without a label has no tag.
    :param attributes: what is annotated, in the order of the tags.
    :param values: of each attribute, those that a wrong tag may have.
    """
    noise = noise or LabelNoise()
    for record in labels:
        name, chunk, known = record["id"], record["chunk"], record["labels"]
        if noise.drops(name):
            continue
        tags = [
            [attribute, noise.value(true, values[attribute], name, chunk, attribute)]
            for attribute in attributes
            if (true := known.get(attribute)) is not None
        ]
        if tags:
            yield {"id": name, "chunk": chunk, "tags": tags}


def values_among(
    labels: Iterable[Record], values: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Those of ``values`` that stand in some record, in the same order."""
    found: dict[str, set[str]] = {attribute: set() for attribute in values}
    for record in labels:
        for attribute, label in record["labels"].items():
            found.setdefault(attribute, set()).add(label)
    return {
        name: tuple(value for value in known if value in found[name])
        for name, known in values.items()
    }


def read_labels(path: Path) -> Iterator[Record]:
    """The records of a ``labels.jsonl``.

    :raises InputError: for a line that is none.
    """
    for line, raw in read_lines(path):
        try:
            record = orjson.loads(raw)
            whole = isinstance(record["id"], str) and isinstance(record["chunk"], int)
            whole = whole and isinstance(record["labels"], dict)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            whole = False
        if not whole:
            raise InputError(f"{path}: line {line}: not a record of id, chunk and labels")
        yield record
