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
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

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
            _Rate(),
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
    began = spoke = time.monotonic()

    def log(amount: float = 1, /) -> None:
        nonlocal done, spoke
        done += amount
        now = time.monotonic()
        if now - spoke >= _LOG_SECONDS:
            spoke = now
            share = f" of {total:,.0f} ({done / total:.0%})" if total else ""
            speed = done / (now - began)
            left = f", {_duration((total - done) / speed)} left" if total and speed else ""
            console.print(f"{what}: {done:,.0f}{share}, {speed:,.1f}/s{left}", highlight=False)

    yield log


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s", style="progress.data.speed")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
