"""Ids that were there before are known, however many there are."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from olmo_anchor.corpus import seen
from olmo_anchor.corpus.seen import SeenIds


def test_as_a_set_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_RECENT", 16)
    rng = random.Random(0)
    ids, before = SeenIds(), set[str]()
    for _ in range(300):
        names = [str(rng.randrange(3000)) for _ in range(rng.randrange(20))]
        new = []
        for name in names:
            new.append(name not in before)
            before.add(name)
        assert ids.add(names) == new


@pytest.mark.slow
def test_half_a_million_ids_take_eight_bytes_each() -> None:
    tracemalloc.start()
    ids = SeenIds()
    for at in range(0, 1 << 19, 4096):
        assert all(ids.add([f"document-{at + k}" for k in range(4096)]))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # And what the latest take in a set.
    assert held < 8 * (1 << 19) + (10 << 20)
