"""Figures with lines: measurements along something that arms say about themselves.

A figure is first data (:class:`Drawing`), made from summaries and nothing else, and then drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from olmo_anchor.report.entries import FIELDS, Entry, describe, method_title, varying
from olmo_anchor.report.load import Summary, groups, mean
from olmo_anchor.report.numbers import Number
from olmo_anchor.report.plain import PlainTable

__all__ = [
    "Drawing",
    "Line",
    "Panel",
    "Point",
    "at_one_temperature",
    "lacking",
    "lines_of",
    "some",
    "varied",
]


@dataclass(frozen=True)
class Point:
    """:param at: where it stands on its line: points at one place are repeated runs.
    :param x: a number without an interval, where it is no measure.
    :param label: written beside it.
    :param repeats: x and y of the runs that it is the mean of, drawn faint.
    """

    at: float
    x: Number
    y: Number
    label: str = ""
    repeats: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Line:
    """:param method: for its colour.
    :param points: in their order on it.
    """

    name: str
    method: str
    points: tuple[Point, ...]

    @property
    def means(self) -> list[tuple[float, float]]:
        """Through which the line goes: x and y at each place, means over runs."""
        runs = [list(of) for _, of in groupby(self.points, key=lambda point: point.at)]
        return [(mean([p.x.value for p in of]), mean([p.y.value for p in of])) for of in runs]


@dataclass(frozen=True)
class Panel:
    """:param levels: lines without points, at a y: name, method and y.
    :param ticks: x to text, where the axis has no scale of its own.
    :param log: the scale of x.
    :param diagonal: draw x = y.
    :param joined: points are joined in the order of ``Line.points``.
    :param direct: lines and levels are named where they end, so that they need no legend.
    """

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    levels: tuple[tuple[str, str, float], ...] = ()
    ticks: Mapping[float, str] | None = None
    log: bool = False
    diagonal: bool = False
    joined: bool = True
    direct: bool = False

    @property
    def ends(self) -> list[float]:
        """All that y reaches."""
        points = [point for line in self.lines for point in line.points]
        reached = [end for point in points for end in point.y.bounds]
        return [*reached, *(y for _, _, y in self.levels)]


@dataclass(frozen=True)
class Drawing:
    """The data of a figure.

    :param lacks: why there are no panels; None where there are.
    :param notes: what is not in it, for the caption.
    :param tables: numbers of the figure's own.
    """

    panels: tuple[Panel, ...] = ()
    lacks: str | None = None
    notes: tuple[str, ...] = ()
    tables: tuple[PlainTable, ...] = field(default=())

    @property
    def heights(self) -> dict[str, tuple[float, float]]:
        """From where to where each y goes that several panels have: they are to be compared."""
        named = [panel.y for panel in self.panels]
        found: dict[str, tuple[float, float]] = {}
        for name in {name for name in named if named.count(name) > 1}:
            ends = [end for panel in self.panels if panel.y == name for end in (*panel.ends,)]
            found[name] = min(ends), max(ends)
        return found

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Name and method of each line and level, once."""
        return list(
            dict.fromkeys(
                named
                for panel in self.panels
                for named in (
                    *((line.name, line.method) for line in panel.lines),
                    *((name, method) for name, method, _ in panel.levels),
                )
            )
        )


def varied(summaries: list[Summary]) -> list[list[Summary]]:
    """The groups of summaries whose headline is a diversity."""
    return [group for group in groups(summaries) if group[0].measure.of_diversity]


def lines_of(
    found: Sequence[Entry],
    x: Callable[[Entry], Number | float | None],
    *,
    along: Iterable[str],
    y: Callable[[Entry], Number | None] = lambda entry: entry.diversity,
    at: Callable[[Entry], float] | None = None,
    label: Callable[[Entry], str] = lambda entry: "",
) -> tuple[Line, ...]:
    """One line for each method and whatever else tells arms apart.

    :param x: None for an entry that has no place in the figure.
    :param along: fields of ``about`` that vary along a line.
    :param at: orders the points; without it x does.
    """
    apart = varying(found, along)
    points: dict[tuple[str, str], list[Point]] = {}
    for entry in found:
        across, value = x(entry), y(entry)
        if across is None or value is None:
            continue
        if not isinstance(across, Number):
            across = Number(across)
        told = describe(entry, apart)
        name = method_title(entry.method) + (f" · {told}" if told else "")
        point = Point(at(entry) if at else across.value, across, value, label(entry))
        points.setdefault((name, entry.method), []).append(point)
    return tuple(
        Line(name, method, tuple(sorted(of, key=lambda point: point.at)))
        for (name, method), of in points.items()
    )


def at_one_temperature(found: Sequence[Entry]) -> tuple[list[Entry], tuple[str, ...]]:
    """Of answers sampled at several temperatures those at 1, as the paper has them, and a note."""
    if "temperature" not in varying(found, set(FIELDS) - {"temperature"}):
        return list(found), ()
    kept = [entry for entry in found if entry.about.get("temperature", 1.0) == 1.0]
    if not any("temperature" in entry.about for entry in kept):
        return list(found), ()
    return kept, ("Of several temperatures, the answers at 1 are shown.",)


def lacking(found: Sequence[Entry], field: str) -> tuple[str, ...]:
    """A note of the entries that do not say a field."""
    names = [entry.name for entry in found if field not in entry.about]
    return (f"Without {field}, so not shown: {some(names)}.",) if names else ()


def some(names: Sequence[str], most: int = 6) -> str:
    """The first names, and how many more."""
    shown = "; ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
