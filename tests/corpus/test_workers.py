"""Records encoded in several processes, this one among them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pytest

from olmo_anchor.corpus.documents import Record
from olmo_anchor.corpus.encode import Encoded, Rejected
from olmo_anchor.corpus.workers import encode_batches

MASK = np.array([False, True, True])


@pytest.mark.parametrize(
    "one",
    [
        Encoded((0, 7), "a", np.array([5, 258, 0], "<u2")),
        Encoded((2, 1), "b", np.array([5, 70_000, 0], "<u4"), MASK, 3, True, 2, 1),
        Rejected((0, 1), None, "not JSON", "column 3"),
    ],
    ids=["document", "conversation", "rejected"],
)
def test_a_result_comes_whole_from_another_process(one: Encoded | Rejected) -> None:
    again = pickle.loads(pickle.dumps(one))
    assert type(again) is type(one)
    for field in fields(one):
        before, after = getattr(one, field.name), getattr(again, field.name)
        assert np.array_equal(before, after)
        assert getattr(before, "dtype", None) == getattr(after, "dtype", None)


@dataclass(frozen=True)
class ByProcess:
    """Names each record after the process that encoded it."""

    def __call__(self, batch: list[Record]) -> list[Encoded | Rejected]:
        return [self.check(record) for record in batch]

    def check(self, record: Record) -> Encoded | Rejected:
        return Encoded(record[:2], str(os.getpid()), np.array([record.line], np.uint32))


@pytest.mark.slow
def test_this_process_encodes_too_and_reads_only_some_batches_ahead() -> None:
    read = 0

    def batches() -> Iterator[list[Record]]:
        nonlocal read
        for line in range(1, 200):
            read += 1
            yield [Record(0, line, b"")]

    names, lines = set(), []
    for (item,) in encode_batches(batches(), ByProcess(), 2):
        assert isinstance(item, Encoded)
        assert read - len(lines) <= 4 * 2 + 1
        names.add(item.id)
        lines += item.ids.tolist()
    assert lines == list(range(1, 200))
    assert str(os.getpid()) in names
    assert len(names) == 2
