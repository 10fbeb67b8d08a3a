"""How long stages take: as they did before, or as they did where the study was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import orjson

from olmo_anchor.study.pipeline.pipeline import Stage

__all__ = ["estimate", "read_times"]

_SECONDS = {
    "world": 1.5,
    "corpus": 3.0,
    "data": 0.8,
    "bases": 190.0,
    "runs": 20.0,
    "models": 6.0,
    "generations": 12.0,
    "arms": 5.0,
}
"""On one core of a 2.6 GHz Xeon, two stages at a time: for who has no times of their own."""


def read_times(folders: Iterable[Path]) -> dict[str, list[float]]:
    """Seconds by stage from the ``times.json`` of folders that have one."""
    found: dict[str, list[float]] = {}
    for folder in folders:
        path = folder / "times.json"
        if path.is_file():
            for stage in orjson.loads(path.read_bytes())["stages"]:
                found.setdefault(stage["name"], []).append(stage["seconds"])
    return found


def estimate(times: dict[str, list[float]], stages: Iterable[Stage]) -> Callable[[Stage], float]:
    """Expected seconds of a stage: of that stage, else of those of its kind, else built in."""
    costs = {stage.name: stage.cost for stage in stages}
    kinds: dict[str, list[float]] = {}
    for name, seconds in times.items():
        if name in costs:
            kinds.setdefault(_kind(name), []).append(median(seconds) / costs[name])

    def expected(stage: Stage) -> float:
        if stage.name in times:
            return median(times[stage.name])
        kind = _kind(stage.name)
        each = median(kinds[kind]) if kind in kinds else _SECONDS.get(kind, 5.0)
        return each * stage.cost

    return expected


def _kind(name: str) -> str:
    return name.partition("/")[0]
