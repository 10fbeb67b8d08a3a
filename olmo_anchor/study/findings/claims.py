"""Claims, and the rule that weighs them. Nothing here knows what was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from olmo_anchor.study.findings.estimate import ENOUGH, Estimate, over_seeds, rounded
from olmo_anchor.study.findings.findings import Findings

__all__ = ["RULE", "Check", "Claim", "Verdict", "Weighed", "WeighedCheck", "weigh"]

RULE = (
    f"A test is a number at each seed and the range that the claim puts it in. From {ENOUGH} seeds "
    "on: it holds when its 95 % interval over seeds (Student's t) lies in the range, it does not "
    "when the interval lies outside, and is not decided when it lies across the end of the range "
    f"or when there are fewer than {ENOUGH} seeds. A claim holds when all its tests do, does not "
    "when none does, holds in part when some do and some do not, and is not decided otherwise."
)

Outcome = Literal["holds", "does not hold", "not decided", "not measured"]
AtSeed = Callable[[Findings, int], float | None]
"""The number of a test at one seed; None where something that it needs was not measured."""


@dataclass(frozen=True)
class Check:
    """:param says: what the number is, for a reader.
    :param low, high: the range that the claim puts it in.
    """

    says: str
    value: AtSeed
    low: float = -math.inf
    high: float = math.inf
    digits: int = 2

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
    test: Check
    found: Estimate | None
    outcome: Outcome

    @property
    def number(self) -> str:
        return "\u2013" if self.found is None else self.found.text(self.test.digits)

    @property
    def told(self) -> str:
        """The outcome, and of how many seeds where it is open."""
        if self.found is None or self.outcome != "not decided":
            return self.outcome
        seeds = len(self.found.values)
        if seeds >= ENOUGH:
            return _undecided(seeds)
        inside = [self.test.low < value < self.test.high for value in self.found.values]
        leans = "as claimed" if all(inside) else "both ways" if any(inside) else "otherwise"
        return f"{_undecided(seeds)}, so far {leans}"


def _undecided(seeds: int) -> str:
    return f"not decided at {seeds} seed{'s' * (seeds > 1)}"


Verdict = Literal["holds", "does not hold", "holds in part", "not decided", "not measured"]


@dataclass(frozen=True)
class Weighed:
    claim: Claim
    tests: tuple[WeighedCheck, ...]

    @property
    def verdict(self) -> Verdict:
        """By :data:`RULE`. Tests that were not measured leave a claim open, if others were."""
        outcomes = [test.outcome for test in self.tests]
        if all(one == "not measured" for one in outcomes):
            return "not measured"
        if all(one == "holds" for one in outcomes):
            return "holds"
        if all(one == "does not hold" for one in outcomes):
            return "does not hold"
        if "holds" in outcomes and "does not hold" in outcomes:
            return "holds in part"
        return "not decided"

    @property
    def told(self) -> str:
        if self.verdict != "not decided":
            return self.verdict
        return _undecided(max(len(test.found.values) for test in self.tests if test.found))


def weigh(claims: Sequence[Claim], findings: Findings) -> list[Weighed]:
    return [
        Weighed(claim, tuple(_weigh(test, findings) for test in claim.tests)) for claim in claims
    ]


def _weigh(test: Check, findings: Findings) -> WeighedCheck:
    at = [test.value(findings, seed) for seed in findings.numbers]
    values = [value for value in at if value is not None]
    if not values:
        return WeighedCheck(test, None, "not measured")
    found = over_seeds(values)
    return WeighedCheck(test, found, _outcome(test, found))


def _outcome(test: Check, found: Estimate) -> Outcome:
    if found.low is None or found.high is None:
        return "not decided"
    if test.low < found.low and found.high < test.high:
        return "holds"
    if found.high < test.low or test.high < found.low:
        return "does not hold"
    return "not decided"
