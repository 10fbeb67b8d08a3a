"""SFT data from the stories of a data set that were kept for it: {text, labels} in each line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.hashing import uniform
from olmo_anchor.study.world.stories import Labels, Request, Story, ask, stream

__all__ = ["POOL", "Pool"]

POOL = "stories.jsonl"


@dataclass(frozen=True)
class Pool:
    """SFT data from the stories that were held back, each used once.

    :param folder: what :func:`~olmo_anchor.study.world.simplestories.write_simplestories` wrote.
    """

    file: WorldFile
    folder: Path
    seed: int

    def conversations(
        self, count: int, only: Mapping[str, Sequence[str]] | None = None
    ) -> Iterator[tuple[Request, Story]]:
        """Yield SFT pairs, as :meth:`StoryWorld.conversations`.

        :param only: the values of some attributes, each equally likely; stories are what they are
            in the others.
        :raises WorkFailed: when there are too few stories with the values.
        """
        wanted = self.file.sft if only is None else only
        shares = {name: how.sft for name, how in self.file.naming.items()}
        left = self._places(wanted)
        with (self.folder / POOL).open("rb") as stories:
            for i in range(count):
                here = f"conversation {i}"
                key = tuple(
                    stream(self.seed, f"{here} {name}").choice(values)
                    for name, values in wanted.items()
                )
                if not left.get(key):
                    said = ", ".join(f"{n} {v!r}" for n, v in zip(wanted, key, strict=True))
                    raise WorkFailed(
                        f"{self.folder}: no story is left with {said} after {i:,} of {count:,} "
                        "conversations; ask for fewer (--conversations), or write the world from "
                        "more of the data set (study world --documents)"
                    )
                stories.seek(left[key].pop()[1])
                record = orjson.loads(stories.readline())
                request = ask(
                    self.file, stream(self.seed, f"{here} request"), record["labels"], shares
                )
                yield request, Story(Labels(record["labels"]), record["text"])

    def _places(
        self, wanted: Mapping[str, Sequence[str]]
    ) -> dict[tuple[str, ...], list[tuple[float, int]]]:
        """(a hash of the story and the seed, where it stands in the file), by the wanted labels."""
        found: dict[tuple[str, ...], list[tuple[float, int]]] = {}
        at = 0
        path = self.folder / POOL
        if not path.is_file():
            raise InputError(f"{path}: missing; write the world again with --overwrite")
        with path.open("rb") as stories:
            for raw in stories:
                record = orjson.loads(raw)
                key = tuple(record["labels"].get(name) for name in wanted)
                if all(value in values for value, values in zip(key, wanted.values(), strict=True)):
                    place = (uniform(self.seed, record["text"]), at)
                    found.setdefault(key, []).append(place)
                at += len(raw)
        return {key: sorted(places) for key, places in found.items()}
