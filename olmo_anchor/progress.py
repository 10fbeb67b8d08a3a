"""Progress of long work on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Advance", "progress"]

_LOG_SECONDS = 15.0


class Advance(Protocol):
    def __call__(self, amount: float = 1, /) -> None: ...


@contextmanager
def progress(what: str, total: float | None = None) -> Iterator[Advance]:
    """Yield a function that is told how much was done.

    :param what: the verb and the unit, such as ``"tokenizing documents"``.
    :param total: in the unit of the calls, where it is known.
    """
    if sys.stderr.isatty():
        from olmo_anchor.terminal import bar

        with bar(what, total) as advance:
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
            print(f"{what}: {done:,.0f}{share}, {speed:,.1f}/s{left}", file=sys.stderr, flush=True)

    yield log


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
