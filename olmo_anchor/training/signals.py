"""SIGTERM and Ctrl-C, from the start of a command to the end of its last checkpoint.

While it trains, OLMo-core's trainer heeds them: it ends after a step and saves. A scheduler sends
SIGTERM to every process, and torchrun sends it on to its ranks: each gets it twice, and the second
must not end the process that saves because of the first.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from olmo_anchor.errors import WorkFailed

__all__ = ["heed_signals", "ignore_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def heed_signals(folder: Path) -> Iterator[None]:
    """Inside, a signal raises :class:`WorkFailed` in the main thread.

    One of several ranks ends as Python would: it may wait for the others in code that runs no
    handler, and torchrun would wait 30 seconds for it.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        raise WorkFailed(f"{folder}: {name} before it trained; the same command goes on")

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        for number in _SIGNALS:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """What a trainer's own handlers give way to when it has trained and saves a last time."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
