"""Numbers of one seed that claims are about: differences, slopes and correlations over arms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from olmo_anchor.report.figures.pareto import hypervolume
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.claims import AtSeed
from olmo_anchor.study.findings.findings import Findings

__all__ = [
    "Along",
    "Choose",
    "area",
    "arms",
    "best",
    "correlation",
    "data_entropy",
    "difference",
    "least_apart",
    "less",
    "level",
    "log_of",
    "setting",
    "slope",
    "span",
]

Choose = Callable[[Findings], list[ArmSpec]]
"""Picks arms of the grid."""
Along = Callable[[ArmSpec], float | None]
"""Where an arm stands on an axis; None where its files do not say it."""
_LEAST_PLACES = 3


def data_entropy(of: str) -> Along:
    """The entropy of an attribute of what the arm was post-trained on, in bits."""
    return lambda arm: (arm.data_entropy_bits or {}).get(of)


def log_of(key: str, base: float = 2) -> Along:
    """Of a setting or a count."""

    def along(arm: ArmSpec) -> float | None:
        place = arm.place(key)
        return math.log(place, base) if place else None

    return along


def setting(key: str, default: float | None = None) -> Along:
    """:param default: where an arm stands whose files do not say it."""
    return lambda arm: default if (place := arm.place(key)) is None else place


def arms(*names_or_groups: str, kind: str | None = None) -> Choose:
    """Arms by name (``main/sft_standard``), and those of groups (``lr``), all of them or those of
    one kind."""

    def choose(findings: Findings) -> list[ArmSpec]:
        named = [findings.arms[name] for name in names_or_groups if name in findings.arms]
        return named + [arm for group in names_or_groups for arm in findings.group(group, kind)]

    return choose


def level(measure: str, arm: str) -> AtSeed:
    return lambda findings, seed: findings.at(arm, measure).get(seed)


def less(first: AtSeed, second: AtSeed) -> AtSeed:
    """The first minus the second."""

    def value(findings: Findings, seed: int) -> float | None:
        one, other = first(findings, seed), second(findings, seed)
        return None if one is None or other is None else one - other

    return value


def difference(measure: str, first: str, second: str) -> AtSeed:
    """Of two arms: first minus second."""
    return less(level(measure, first), level(measure, second))


def slope(measure: str, choose: Choose, along: Along) -> AtSeed:
    """Of the least-squares line through arms; None below three places, or where one arm of the grid
    is not finished: a slope over other arms would be another number."""

    def value(findings: Findings, seed: int) -> float | None:
        pairs = [(along(arm), findings.at(arm.name, measure).get(seed)) for arm in choose(findings)]
        return _fit(pairs)[0]

    return value


def correlation(first: str, second: str, choose: Choose) -> AtSeed:
    """Pearson's, of two measures over arms; None as :func:`slope`."""

    def value(findings: Findings, seed: int) -> float | None:
        pairs = [
            (findings.at(arm.name, first).get(seed), findings.at(arm.name, second).get(seed))
            for arm in choose(findings)
        ]
        return _fit(pairs)[1]

    return value


def span(measure: str, choose: Choose) -> AtSeed:
    """How far the greatest and the least over arms lie apart; None where one is not finished."""

    def value(findings: Findings, seed: int) -> float | None:
        found = [findings.at(arm.name, measure).get(seed) for arm in choose(findings)]
        known = [one for one in found if one is not None]
        return max(known) - min(known) if known and len(known) == len(found) else None

    return value


def least_apart(measure: str, first: Choose, second: Choose, along: Along) -> AtSeed:
    """The least of first minus second, over arms that stand at one place; None where one is not
    finished."""

    def value(findings: Findings, seed: int) -> float | None:
        def at(choose: Choose) -> dict[float | None, float | None]:
            return {
                along(arm): findings.at(arm.name, measure).get(seed) for arm in choose(findings)
            }

        one, other = at(first), at(second)
        pairs = [(one.get(place), other.get(place)) for place in one | other]
        known = [x - y for x, y in pairs if x is not None and y is not None]
        return min(known) if known and len(known) == len(pairs) else None

    return value


def _fit(
    pairs: Sequence[tuple[float | None, float | None]],
) -> tuple[float | None, float | None]:
    """Slope and correlation."""
    found = [(x, y) for x, y in pairs if x is not None and y is not None]
    if len(found) < len(pairs) or len({x for x, _ in found}) < _LEAST_PLACES:
        return None, None
    n = len(found)
    mean_x, mean_y = (math.fsum(of) / n for of in zip(*found, strict=True))
    xx = math.fsum((x - mean_x) ** 2 for x, _ in found)
    yy = math.fsum((y - mean_y) ** 2 for _, y in found)
    xy = math.fsum((x - mean_x) * (y - mean_y) for x, y in found)
    return xy / xx, xy / math.sqrt(xx * yy) if yy else 0.0


def area(measure: str, quality: str, choose: Choose) -> AtSeed:
    """The area that the arms dominate above nothing, larger being better in both measures."""

    def value(findings: Findings, seed: int) -> float | None:
        pairs = _pairs(findings, seed, choose, measure, quality)
        return None if pairs is None else hypervolume(pairs, (0.0, 0.0))

    return value


def best(measure: str, choose: Choose, like: str, floors: Mapping[str, float]) -> AtSeed:
    """The most of ``measure`` among arms that are as good as the arm ``like``; 0 where none is.

    :param floors: by measure, by how much an arm may have less than that one.
    """

    def value(findings: Findings, seed: int) -> float | None:
        least = findings.values.get(like, {}).get(seed, {})
        chosen = [findings.values.get(arm.name, {}).get(seed) for arm in choose(findings)]
        if not chosen or any(one not in least for one in floors):
            return None
        found: list[float] = []
        for of in chosen:
            if of is None or any(one not in of for one in floors):
                return None
            if any(of[one] < least[one] - slack for one, slack in floors.items()):
                continue
            if measure not in of:
                return None
            found.append(of[measure])
        return max(found, default=0.0)

    return value


def _pairs(
    findings: Findings, seed: int, choose: Choose, measure: str, quality: str
) -> list[tuple[float, float]] | None:
    """(quality, measure) of each; None where one arm of the grid is not finished."""
    found: list[tuple[float, float]] = []
    for arm in choose(findings):
        of = findings.values.get(arm.name, {}).get(seed, {})
        if measure not in of or quality not in of:
            return None
        found.append((of[quality], of[measure]))
    return found or None
