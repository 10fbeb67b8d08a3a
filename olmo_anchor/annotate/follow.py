"""How far a job is, told from what its tasks have written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import orjson

from olmo_anchor.annotate.folder import TaskFiles
from olmo_anchor.annotate.plan import Plan
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.progress import progress

__all__ = ["show_progress"]

_SECONDS = 0.5
_TAIL_BYTES = 1 << 16


def show_progress(plan: Plan, alive: Callable[[], bool]) -> None:
    """A bar of documents until the executor has ended."""
    before = TokensDir.open(plan.tokens).documents_before
    finished: set[int] = set()
    with progress("annotating documents", plan.documents) as advance:
        shown = 0
        while True:
            running = alive()
            done = _documents(plan, before, finished)
            advance(done - shown)
            shown = done
            if not running:
                return
            time.sleep(_SECONDS)


def _documents(plan: Plan, before: list[int], finished: set[int]) -> int:
    total = 0
    for number in range(plan.tasks):
        first, end = plan.share(number)
        files = TaskFiles(plan.out, number)
        if number in finished or files.done.exists():
            finished.add(number)
            total += end - first
        elif place := _last_place(files.journal):
            total += before[place[0]] + place[1] - first
    return total


def _last_place(journal: Path) -> tuple[int, int] | None:
    """Part and document of the last whole line."""
    try:
        with journal.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    if len(lines) < 2:
        return None
    try:
        record = orjson.loads(lines[-2])
    except orjson.JSONDecodeError:  # longer than what was read
        return None
    return record["part"], record["doc"]
