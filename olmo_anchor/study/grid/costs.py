"""How long stages take: as they did before, or as they did where the study was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

from olmo_anchor.study.pipeline.stage import Stage, kind_of

__all__ = ["estimate"]

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


def estimate(times: dict[str, list[float]], stages: Iterable[Stage]) -> Callable[[Stage], float]:
    """Expected seconds of a stage: of that stage, else of those of its kind, else built in."""
    costs = {stage.name: stage.cost for stage in stages}
    kinds: dict[str, list[float]] = {}
    for name, seconds in times.items():
        if name in costs:
            kinds.setdefault(kind_of(name), []).append(median(seconds) / costs[name])

    def expected(stage: Stage) -> float:
        if stage.name in times:
            return median(times[stage.name])
        kind = kind_of(stage.name)
        each = median(kinds[kind]) if kind in kinds else _SECONDS.get(kind, 5.0)
        return each * stage.cost

    return expected
