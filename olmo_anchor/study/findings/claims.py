"""Claims, and the rule that weighs them. Nothing here knows what was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from olmo_anchor.study.findings.estimate import ENOUGH, Estimate, over_seeds, rounded
from olmo_anchor.study.findings.findings import Findings

__all__ = ["FLAT", "RULE", "Check", "Claim", "Verdict", "Weighed", "WeighedCheck", "weigh"]

FLAT = 0.05
"""Bits per doubling: slopes within it, on both sides of 0, count as none."""

RULE = (
    f"A test is a number at each seed and the range that the claim puts it in. From {ENOUGH} seeds "
    "on: it holds when its 95 % interval over seeds (Student's t) lies in the range, it does not "
    "when the interval lies outside, and is not decided when it lies across the end of the range "
    f"or when there are fewer than {ENOUGH} seeds. A slope whose interval lies within \u00b1{FLAT} "
    "bits per doubling is flat, which is not what a claim of a trend says. Where the entropies of "
    "the arms differ by less than a quarter of a bit there is nothing to correlate. A claim holds "
    "when all its tests do, does not when none does, holds in part when some do and some do not, "
    "and is not decided otherwise."
)

Outcome = Literal[
    "holds", "does not hold", "flat", "nothing to correlate", "not decided", "not measured"
]
_AGAINST = ("does not hold", "flat")
AtSeed = Callable[[Findings, int], float | None]
"""The number of a test at one seed; None where something that it needs was not measured."""


@dataclass(frozen=True)
class Check:
    """:param says: what the number is, for a reader.
    :param low, high: the range that the claim puts it in.
    :param flat: slopes of at most this size are none; 0 where that is not asked.
    :param span: over what the number is taken, a seed at a time; where it is less than ``least``
        there is no such number.
    """

    says: str
    value: AtSeed
    low: float = -math.inf
    high: float = math.inf
    digits: int = 2
    flat: float = 0.0
    span: AtSeed | None = None
    least: float = 0.0

    @property
    def range(self) -> str:
        low, high = (rounded(end, self.digits) for end in (self.low, self.high))
        if math.isinf(self.high):
            return f"above {low}"
        return f"below {high}" if math.isinf(self.low) else f"from {low} to {high}"


@dataclass(frozen=True)
class Claim:
    """:param says: a sentence.
    :param place: in the paper; empty for a question of our own.
    """

    name: str
    says: str
    place: str
    tests: tuple[Check, ...]


@dataclass(frozen=True)
class WeighedCheck:
    """:param seeds: of the study; where there is nothing to correlate, at how many that is so."""

    test: Check
    found: Estimate | None
    outcome: Outcome
    seeds: int = 0

    @property
    def number(self) -> str:
        """With how many of the seeds it is of, where some lack it."""
        if self.found is None:
            return "\u2013"
        of = len(self.found.values)
        told = self.found.text(self.test.digits)
        return told if of >= self.seeds else f"{told} ({of} of {self.seeds} seeds)"

    @property
    def told(self) -> str:
        """The outcome, and of how many seeds where there are few."""
        if self.outcome == "nothing to correlate" and self.seeds < ENOUGH:
            return f"nothing to correlate at {_counted(self.seeds)}"
        if self.found is None or self.outcome != "not decided":
            return self.outcome
        seeds = len(self.found.values)
        if seeds >= ENOUGH:
            return _undecided(seeds)
        inside = [self.test.low < value < self.test.high for value in self.found.values]
        if all(abs(value) < self.test.flat for value in self.found.values):
            return f"{_undecided(seeds)}, so far flat"
        leans = "as claimed" if all(inside) else "both ways" if any(inside) else "otherwise"
        return f"{_undecided(seeds)}, so far {leans}"


def _undecided(seeds: int) -> str:
    return f"not decided at {_counted(seeds)}"


def _counted(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds > 1)}"


Verdict = Literal[
    "holds",
    "does not hold",
    "flat",
    "holds in part",
    "nothing to correlate",
    "not decided",
    "not measured",
]


@dataclass(frozen=True)
class Weighed:
    claim: Claim
    tests: tuple[WeighedCheck, ...]

    @property
    def verdict(self) -> Verdict:
        """By :data:`RULE`. Tests that were not measured leave a claim open, if others were."""
        outcomes = [test.outcome for test in self.tests]
        for alike in ("not measured", "nothing to correlate", "holds", "flat"):
            if all(one == alike for one in outcomes):
                return alike
        if all(one in _AGAINST for one in outcomes):
            return "does not hold"
        if "holds" in outcomes and any(one in _AGAINST for one in outcomes):
            return "holds in part"
        return "not decided"

    @property
    def told(self) -> str:
        if self.verdict == "nothing to correlate":
            return self.tests[0].told
        if self.verdict != "not decided":
            return self.verdict
        of = max((len(test.found.values) for test in self.tests if test.found), default=0)
        return _undecided(of) if of else self.verdict


def weigh(claims: Sequence[Claim], findings: Findings) -> list[Weighed]:
    return [
        Weighed(claim, tuple(_weigh(test, findings) for test in claim.tests)) for claim in claims
    ]


def _weigh(test: Check, findings: Findings) -> WeighedCheck:
    seeds = findings.numbers
    spans = {seed: test.span(findings, seed) for seed in seeds} if test.span else {}
    told = [seed for seed in seeds if (span := spans.get(seed)) is None or span >= test.least]
    at = [test.value(findings, seed) for seed in told]
    values = [value for value in at if value is not None]
    if not values:
        idle = len(seeds) - len(told)
        return WeighedCheck(test, None, "nothing to correlate" if idle else "not measured", idle)
    found = over_seeds(values)
    return WeighedCheck(test, found, _outcome(test, found), len(seeds))


def _outcome(test: Check, found: Estimate) -> Outcome:
    if found.low is None or found.high is None:
        return "not decided"
    if -test.flat < found.low and found.high < test.flat:
        return "flat"
    if test.low < found.low and found.high < test.high:
        return "holds"
    if found.high < test.low or test.high < found.low:
        return "does not hold"
    return "not decided"
