"""Which ids of documents were there before, in eight bytes of memory for each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.encode import Encoded, Rejected

__all__ = ["SeenIds"]

_RECENT = 1 << 16


class SeenIds:
    """Digests of ids: the latest in a set, the others in sorted arrays, each twice as long as the
    next or more.

    Of eight bytes: among 10^8 documents there is a chance of 3 in 10 000 that one is taken for
    another.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._runs: list[NDArray[np.uint64]] = []

    def refuse(self, batch: Sequence[Encoded | Rejected]) -> list[Encoded | Rejected]:
        """Reject the documents whose ids were there before, and remember those of the others."""
        new = self.add([item.id for item in batch if isinstance(item, Encoded)])
        is_new = iter(new)
        return [
            Rejected(item.record, item.id, "duplicate id")
            if isinstance(item, Encoded) and not next(is_new)
            else item
            for item in batch
        ]

    def add(self, ids: Sequence[str]) -> list[bool]:
        """Remember ``ids``; for each whether it was not there before."""
        digests = [_digest(name) for name in ids]
        known = self._in_runs(np.array(digests, np.uint64)).tolist()
        new = []
        for digest, old in zip(digests, known, strict=True):
            new.append(not old and digest not in self._recent)
            self._recent.add(digest)
        if len(self._recent) >= _RECENT:
            self._put_away()
        return new

    def _in_runs(self, digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
        known = np.zeros(len(digests), np.bool_)
        for run in self._runs:
            at = np.minimum(run.searchsorted(digests), len(run) - 1)
            known |= run[at] == digests
        return known

    def _put_away(self) -> None:
        run = np.fromiter(self._recent, np.uint64, len(self._recent))
        self._recent = set()
        run.sort()
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.concatenate((self._runs.pop(), run))
            run.sort(kind="stable")  # merges what is sorted
        self._runs.append(run)


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
