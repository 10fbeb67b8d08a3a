"""Which of several servers gets the next request, and when none of them is worth waiting for."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from olmo_anchor.errors import WorkFailed

__all__ = ["Server", "Servers"]

_LONGEST_REST = 30.0
_LOOK_AGAIN = 0.25


@dataclass
class Server:
    """One base URL.

    :param strikes: faults in a row; a server with any gets one request at a time, as a probe.
    :param rest_until: when it is tried again after a fault; a success ends the rest.
    :param busy_until: when it said that it wants more requests; nothing ends that wait.
    """

    url: str
    client: Any
    in_flight: int = 0
    strikes: int = 0
    probed: bool = False
    rest_until: float = 0.0
    busy_until: float = 0.0

    @property
    def ready_at(self) -> float:
        return max(self.rest_until, self.busy_until)


class Servers:
    """The least loaded one is next; one that fails is rested, longer each time, and then probed.

    :param backoff: seconds of the first rest; each later one is twice as long, up to 30 s.
    :param give_up: seconds without an answer from any of them, after which the work fails.
    """

    def __init__(self, servers: Sequence[Server], backoff: float, give_up: float) -> None:
        self.all = servers
        self.backoff = backoff
        self.give_up = give_up
        self.answered = 0
        self._trouble_since: float | None = None
        self._trouble = ""

    async def pick(self, *, well: bool = False) -> Server:
        """Wait for a server that may be asked now; hand it back with :meth:`done`.

        :param well: rather one that is known to be well: this request has had its share of faults.
        :raises WorkFailed: when all want to be left alone for longer than ``give_up``.
        """
        while True:
            now = time.monotonic()
            ready = [server for server in self.all if server.ready_at <= now]
            sound = [server for server in ready if not server.strikes]
            probes = [server for server in ready if server.strikes and not server.probed]
            if probes and not (well and sound):
                server = probes[0]
                server.probed = True
            elif sound:
                server = min(sound, key=lambda each: each.in_flight)
            else:
                first = min(server.ready_at for server in self.all)
                self._check(max(now, first))
                await asyncio.sleep(min(max(first - now, 0.01), _LOOK_AGAIN))
                continue
            server.in_flight += 1
            return server

    def done(self, server: Server) -> None:
        """No longer in use by the one who picked it; told after good, busy or bad."""
        server.in_flight -= 1
        server.probed = False

    def good(self, server: Server) -> None:
        """It answered."""
        self.answered += 1
        self._trouble_since = None
        server.strikes = 0
        server.rest_until = 0.0

    def busy(self, server: Server, wait: float | None, reason: str) -> None:
        """It has too much to do (429), and may have said for how long."""
        if wait is not None:
            server.busy_until = max(server.busy_until, time.monotonic() + wait)
        self.bad(server, reason)

    def bad(self, server: Server, reason: str) -> None:
        """It failed.

        :raises WorkFailed: when nobody has answered for too long.
        """
        now = time.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
        self._trouble = f"{server.url}: {reason}"
        # Many requests fail together when a server goes down: that is one fault.
        if now >= server.rest_until:
            server.strikes += 1
            rest = min(self.backoff * 2 ** min(server.strikes - 1, 20), _LONGEST_REST)
            server.rest_until = now + rest * random.uniform(0.75, 1.25)
        self._check(now)

    def _check(self, when: float) -> None:
        if self._trouble_since is not None and when - self._trouble_since > self.give_up:
            raise WorkFailed(
                f"no server has answered for {self.give_up:.0f} s, or will soon ({self._trouble}); "
                "what is done is kept: mend the server and run the same command with --resume"
            )
