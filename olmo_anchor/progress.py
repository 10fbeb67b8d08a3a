"""Progress of long work on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Advance", "console", "progress"]

console = Console(stderr=True)

_LOG_SECONDS = 15.0


class Advance(Protocol):
    def __call__(self, amount: float = 1, /) -> None: ...


@contextmanager
def progress(what: str, total: float | None = None) -> Iterator[Advance]:
    """Yield a function that is told how much was done.

    :param what: the verb and the unit, such as ``"tokenizing documents"``.
    :param total: in the unit of the calls, where it is known.
    """
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=False) as bar:
            task = bar.add_task(what, total=total)

            def advance(amount: float = 1, /) -> None:
                bar.advance(task, amount)

            yield advance
        return

    done = 0.0
    spoke = time.monotonic()

    def log(amount: float = 1, /) -> None:
        nonlocal done, spoke
        done += amount
        now = time.monotonic()
        if now - spoke >= _LOG_SECONDS:
            spoke = now
            share = f" of {total:,.0f} ({done / total:.0%})" if total else ""
            console.print(f"{what}: {done:,.0f}{share}", highlight=False)

    yield log
