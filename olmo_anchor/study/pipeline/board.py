"""What is shown while stages run: all of them where they are few, else counts, in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.live import Live
from rich.table import Table

from olmo_anchor.study.pipeline.stage import kind_of
from olmo_anchor.study.pipeline.times import makespan
from olmo_anchor.terminal import console

__all__ = ["Shown", "board", "duration", "time_left"]

_FEW = 24
_MARKS = {
    "waiting": "[dim]·[/]",
    "running": "[yellow]▸[/]",
    "done": "[green]✓[/]",
    "kept": "[green dim]✓[/]",
    "failed": "[red]✗[/]",
    "left out": "[red dim]·[/]",
}
_FAILED_SHOWN = 5


@dataclass(frozen=True)
class Shown:
    """:param seconds: since its start, or in all.
    :param expected: seconds in all; None where that is not known.
    """

    name: str
    status: str
    seconds: float
    expected: float | None
    log: Path

    @property
    def kind(self) -> str:
        return kind_of(self.name)


def time_left(stages: Sequence[Shown], parallel: int) -> float | None:
    """Seconds; None where nothing is left, or what is left has no expectation."""
    left = [
        max(0.0, one.expected - (one.seconds if one.status == "running" else 0.0))
        for one in stages
        if one.status in ("waiting", "running") and one.expected is not None
    ]
    return makespan(left, parallel) if left else None


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


@contextmanager
def board(title: str, parallel: int) -> Iterator[Callable[[Sequence[Shown]], None]]:
    """Yield a function that is given all stages, often."""
    if not console.is_terminal:
        yield _Log(title, parallel)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield lambda stages: live.update(table(title, stages, parallel))


class _Log:
    """A line for each stage that begins and ends."""

    def __init__(self, title: str, parallel: int) -> None:
        self._title, self._parallel = title, parallel
        self._said: dict[str, str] = {}

    def __call__(self, stages: Sequence[Shown]) -> None:
        few = len(stages) <= _FEW
        for one in stages:
            if self._said.get(one.name) == one.status:
                continue
            self._said[one.name] = one.status
            if one.status == "running" and few:
                self._say(f"{one.name} ...")
            elif one.status == "done":
                self._say(f"{one.name} done, {one.seconds:.0f} s{self._left(stages)}")
            elif one.status == "failed":
                self._say(f"{one.name} FAILED, see {one.log}")

    def _left(self, stages: Sequence[Shown]) -> str:
        left = time_left(stages, self._parallel)
        if left is None:
            return ""
        ended = sum(one.status in ("kept", "done") for one in stages)
        return f" ({ended} of {len(stages)}, about {duration(left)} left)"

    def _say(self, line: str) -> None:
        console.print(f"{self._title} {line}", highlight=False, soft_wrap=True)


def table(title: str, stages: Sequence[Shown], parallel: int) -> Table:
    """All stages where they are few; else a line for each kind and each that runs or failed."""
    shown = Table(title=title, box=None, title_justify="left", show_header=False)
    if len(stages) <= _FEW:
        for one in stages:
            took = {"kept": "kept", "waiting": "", "left out": "left out"}
            shown.add_row(
                _MARKS.get(one.status, " "), one.name, took.get(one.status, f"{one.seconds:.0f} s")
            )
        return shown
    kinds: dict[str, list[Shown]] = {}
    for one in stages:
        kinds.setdefault(one.kind, []).append(one)
    for kind, those in kinds.items():
        ended = sum(one.status in ("kept", "done") for one in those)
        mark = "done" if ended == len(those) else "waiting"
        shown.add_row(_MARKS[mark], kind, f"{ended} of {len(those)}")
    for one in stages:
        if one.status == "running":
            shown.add_row(_MARKS["running"], one.name, f"{one.seconds:.0f} s")
    failed = [one for one in stages if one.status == "failed"]
    for one in failed[:_FAILED_SHOWN]:
        shown.add_row(_MARKS["failed"], one.name, str(one.log))
    if len(failed) > _FAILED_SHOWN:
        shown.add_row(_MARKS["failed"], f"{len(failed) - _FAILED_SHOWN} more failed", "")
    left = time_left(stages, parallel)
    if left is not None:
        shown.add_row("", "left", f"about {duration(left)}")
    return shown
