"""A number over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ENOUGH", "Estimate", "over_seeds", "rounded"]

ENOUGH = 3
"""Seeds from which on there is an interval."""
_LEVEL = 0.975


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds, with Student's 95 % interval from :data:`ENOUGH` seeds on.

    :param values: of each seed, in the order of the seeds.
    """

    value: float
    values: tuple[float, ...]
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Low and high; of fewer seeds the least and the greatest value."""
        if self.low is None or self.high is None:
            return min(self.values), max(self.values)
        return self.low, self.high

    def text(self, digits: int = 2) -> str:
        """``2.41 ± 0.07``; of two seeds ``2.38, 2.44``; of one ``2.38``."""
        if self.high is None:
            return ", ".join(rounded(value, digits) for value in self.values)
        return f"{rounded(self.value, digits)} ± {rounded(self.high - self.value, digits)}"


def rounded(value: float, digits: int) -> str:
    """With a minus sign where one is due: not before a zero."""
    text = f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "\u2212")


def over_seeds(values: Sequence[float]) -> Estimate:
    """:param values: one of each seed, at least one. The interval is mean ± t s / sqrt(n)."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < ENOUGH:
        return Estimate(mean, tuple(values))
    from scipy.stats import t

    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf(_LEVEL, n - 1)) * spread / math.sqrt(n)
    return Estimate(mean, tuple(values), mean - half, mean + half)
