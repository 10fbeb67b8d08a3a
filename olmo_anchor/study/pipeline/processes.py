"""Processes none of which outlives us: each in a group of its own, all stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

__all__ = ["sigterm_interrupts", "start", "stop"]

Process = subprocess.Popen[bytes]


def start(argv: Sequence[str], output: IO[bytes], *, threads: int) -> Process:
    """:param output: of the command, its errors among it.
    :param threads: of OpenMP.
    """
    return subprocess.Popen(
        [*_launcher(), *argv],
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"},
        # A group of its own: Ctrl-C comes to us, and we stop all of its processes.
        start_new_session=True,
    )


def stop(processes: Sequence[Process], grace: float) -> None:
    """Tell them to end, and kill those that did not.

    :param grace: seconds that they have.
    """
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, how)
        deadline = time.monotonic() + grace
        while any(one.poll() is None for one in processes) and time.monotonic() < deadline:
            time.sleep(0.05)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM is as Ctrl-C: process groups of their own it would not reach."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _launcher() -> list[str]:
    """On Linux a process dies with us: else it would write beside what the next call starts."""
    if sys.platform != "linux":
        return []
    when_the_parent_dies = 1  # PR_SET_PDEATHSIG
    program = (
        "import ctypes, os, sys; "
        f"ctypes.CDLL(None).prctl({when_the_parent_dies}, {int(signal.SIGKILL)}); "
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-I", "-S", "-c", program]
