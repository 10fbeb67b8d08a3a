"""How arms of the study become lines and points of a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from olmo_anchor.report.figures.series import Drawing, Line, Panel, Point
from olmo_anchor.report.load import ARM_NAMES
from olmo_anchor.report.numbers import Number
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.estimate import Estimate, over_seeds
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.measures import MEASURES
from olmo_anchor.study.findings.numbers import Along, Choose

__all__ = [
    "along",
    "attributes",
    "drawing",
    "kind_title",
    "levels",
    "panel",
    "plane",
]

_KINDS = {
    **ARM_NAMES,
    "sft_anchored_given": "SFT, anchored_given",
    "sft_anchored_persona": "SFT, anchored, persona annotated",
    "sft_anchored_right_in_sft": "wrong in pretraining alone",
    "sft_anchored_wrong_in_sft": "wrong in SFT alone",
    "sft_anchored_wrong_among_sft": "the same, of the data's values",
    "sft_unmasked": "SFT, unmasked",
    "sft_kl": "SFT, KL term",
    "sft_entropy": "SFT, entropy term",
    "gentle": "half the rate and steps",
    "frozen": "embeddings and output frozen",
    "frozen_embeddings": "embeddings frozen",
    "frozen_head": "output frozen",
}
"""What arms of one kind are called."""
_ASIDE = 0.11


def drawing(*panels: Panel | None) -> Drawing:
    found = tuple(one for one in panels if one is not None)
    return Drawing(found) if found else Drawing(lacks="nothing was measured yet")


def kind_title(kind: str) -> str:
    return _KINDS.get(kind, kind.replace("_", " "))


def along(findings: Findings, kind: str, choose: Choose, where: Along, measure: str) -> Line | None:
    """A line through the arms, in the order of where they stand; None where nothing is measured."""
    points = []
    for arm in choose(findings):
        x, y = where(arm), findings.of(arm.name, measure)
        if x is not None and y is not None:
            points.append(Point(x, Number(x), _number(y), repeats=_repeats(x, y)))
    line = Line(kind_title(kind), kind, tuple(sorted(points, key=lambda point: point.at)))
    return line if points else None


def plane(
    findings: Findings,
    name: str,
    kind: str,
    choose: Choose,
    measures: tuple[str, str],
    by: Along | None = None,
    label: Callable[[ArmSpec], str] | None = None,
) -> Line | None:
    """The arms by two measures; None where nothing is measured.

    :param by: their order; without it that of the grid.
    :param label: written beside each; without it where ``by`` puts it.
    """
    points = []
    for place, arm in enumerate(choose(findings)):
        one, other = (findings.at(arm.name, measure) for measure in measures)
        seeds = sorted(one.keys() & other.keys())
        if not seeds:
            continue
        # Both of the same seeds: a mean over others would be another model.
        x, y = (over_seeds([of[seed] for seed in seeds]) for of in (one, other))
        at = None if by is None else by(arm)
        points.append(
            Point(
                float(place) if at is None else at,
                _number(x),
                _number(y),
                label(arm) if label else "" if at is None else f"{at:g}",
                tuple(zip(x.values, y.values, strict=True)) if len(x.values) > 1 else (),
            )
        )
    line = Line(name, kind, tuple(sorted(points, key=lambda point: point.at)))
    return line if points else None


def attributes(findings: Findings, arms: Sequence[str], of: Sequence[str]) -> Panel | None:
    """Entropies of several attributes, the arms side by side at each."""
    names = [name for name in arms if findings.values.get(name)]
    lines = []
    for number, name in enumerate(names):
        kind = findings.arms[name].kind
        aside = _ASIDE * (number - (len(names) - 1) / 2)
        found = [(x + aside, findings.of(name, f"entropy.{one}")) for x, one in enumerate(of)]
        points = tuple(
            Point(x, Number(x), _number(y), repeats=_repeats(x, y))
            for x, y in found
            if y is not None
        )
        lines.append(Line(kind_title(kind), kind, points))
    ticks = {float(x): one for x, one in enumerate(of)}
    axis = "entropy of the answers (bits)"
    return Panel("", "", axis, tuple(lines), ticks=ticks, joined=False) if lines else None


def levels(findings: Findings, measure: str, *names: str) -> tuple[tuple[str, str, float], ...]:
    """Horizontal lines of arms that have no place along the axis."""
    found = [(findings.arms.get(name), findings.of(name, measure)) for name in names]
    return tuple(
        (kind_title(arm.kind), arm.kind, number.value)
        for arm, number in found
        if arm is not None and number is not None
    )


def panel(
    x: str,
    measure: str,
    lines: Sequence[Line | None],
    *,
    title: str = "",
    levels: tuple[tuple[str, str, float], ...] = (),
    ticks: Mapping[float, str] | None = None,
    log: bool = False,
    diagonal: bool = False,
) -> Panel | None:
    """None where all points stand at one place: such a panel shows nothing."""
    found = tuple(line for line in lines if line is not None)
    if len({point.x.value for line in found for point in line.points}) < 2:
        return None
    y = MEASURES[measure].axis
    return Panel(title, x, y, found, levels, ticks, log=log, diagonal=diagonal, direct=True)


def _number(found: Estimate) -> Number:
    return Number(found.value, found.low, found.high)


def _repeats(x: float, y: Estimate) -> tuple[tuple[float, float], ...]:
    return tuple((x, value) for value in y.values) if len(y.values) > 1 else ()
