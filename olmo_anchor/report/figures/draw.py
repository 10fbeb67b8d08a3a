"""Draw panels of lines; the legend stands beside them, on a page as text of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from olmo_anchor.report.figures.series import Drawing, Line, Panel
from olmo_anchor.report.figures.style import COLOURS, INK, OWN_INK, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["Look", "draw", "draw_panels", "looks", "spread"]

_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", "--", ":", "-.")
_ACROSS = 3
_SIZE = (4.7, 3.3)
_APART = 0.075
"""Of names beside the axes, in heights of the axes."""


@dataclass(frozen=True)
class Look:
    """Of a line: methods differ in colour and marker, lines of one method in marker and dash.

    :param marker: empty of a level, which has no points.
    """

    colour: str
    marker: str
    dash: str


Looks = Mapping[str, Look]


def looks(drawing: Drawing) -> dict[str, Look]:
    """By the name of the line, the same in all panels."""
    found: dict[str, Look] = {}
    variants: dict[str, int] = {}
    named = {line.name for panel in drawing.panels for line in panel.lines}
    others = list(dict.fromkeys(of for _, of in drawing.lines if of not in COLOURS))
    methods = [*COLOURS, *others]
    for name, method in drawing.lines:
        of = colour(method, others.index(method) if method in others else 0)
        if name not in named:
            found[name] = Look(of, "", ":")
            continue
        variant = variants.get(method, 0)
        variants[method] = variant + 1
        marker = _MARKERS[(methods.index(method) + variant) % len(_MARKERS)]
        # A base model is dashed, as in the paper.
        dash = _DASHES[(variant + method.startswith("base")) % len(_DASHES)]
        found[name] = Look(of, marker, dash)
    return found


def draw(drawing: Drawing) -> Figure:
    """All panels of a drawing beside each other, the legend below them."""
    figure, of = _figure(drawing.panels), looks(drawing)
    for axes, panel in zip(figure.axes, drawing.panels, strict=False):
        _panel(axes, panel, of, drawing)
    if not all(panel.direct for panel in drawing.panels):
        handles = [_handle(name, look, drawing) for name, look in of.items()]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(4, len(handles)),
            frameon=False,
            fontsize=9,
        )
    return figure


def draw_panels(drawing: Drawing) -> list[Figure]:
    """Each panel of a drawing as a figure of its own, without a legend."""
    figures, of = [], looks(drawing)
    for panel in drawing.panels:
        figures.append(_figure([panel]))
        _panel(figures[-1].axes[0], panel, of, drawing)
    return figures


def _figure(panels: Sequence[Panel]) -> Figure:
    from matplotlib.figure import Figure

    across = min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(_SIZE[0] * across, _SIZE[1] * down), layout="constrained")
    for axes in figure.subplots(down, across, squeeze=False).flat[len(panels) :]:
        axes.set_axis_off()
    return figure


def _panel(axes: Axes, panel: Panel, of: Looks, drawing: Drawing) -> None:
    for line in panel.lines:
        _line(axes, line, of[line.name], panel)
    for name, _, y in panel.levels:
        look = of[name]
        axes.axhline(y, color=look.colour, ls=":", lw=1.6, zorder=1)
    axes.margins(x=0.08, y=0.12)
    if panel.y in drawing.heights:
        low, high = drawing.heights[panel.y]
        room = 0.1 * (high - low) or 0.1
        axes.set_ylim(low - room, high + room)
    if panel.diagonal:
        axes.axline((0, 0), slope=1, color=INK, ls=":", lw=1, zorder=0)
    if panel.log:
        axes.set_xscale("log")
    if panel.ticks is not None:
        axes.set_xticks(list(panel.ticks), list(panel.ticks.values()))
        axes.minorticks_off()
    axes.set_title(panel.title, loc="left", fontsize=10)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    if panel.direct:
        _name_ends(axes, panel, of)


def _name_ends(axes: Axes, panel: Panel, of: Looks) -> None:
    """Names right of the axes, in the colour of their lines, at their height or a little off it."""
    bottom, top = axes.get_ylim()
    ends = [(name, y) for name, _, y in panel.levels]
    ends += [(line.name, line.means[-1][1]) for line in panel.lines if line.points]
    heights = spread([(y - bottom) / (top - bottom) for _, y in ends], _APART)
    for (name, _), height in zip(ends, heights, strict=True):
        axes.text(
            1.02,
            height,
            name,
            transform=axes.transAxes,
            color=of[name].colour,
            fontsize=9,
            va="center",
            gid=OWN_INK,
        )


def spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Heights as wanted, but for those nearer than ``apart`` to the next below, which go up."""
    found = list(wanted)
    for before, at in pairwise(sorted(range(len(wanted)), key=lambda at: wanted[at])):
        found[at] = max(found[at], found[before] + apart)
    return found


def _line(axes: Axes, line: Line, look: Look, panel: Panel) -> None:
    if panel.joined and len(line.means) > 1:
        axes.plot(*zip(*line.means, strict=True), look.dash, color=look.colour, lw=1.6, zorder=2)
    for point in line.points:
        (x_low, x_high), (low, high) = point.x.bounds, point.y.bounds
        x, y = point.x.value, point.y.value
        axes.errorbar(
            x,
            y,
            xerr=[[x - x_low], [x_high - x]] if x_high > x_low else None,
            yerr=[[y - low], [high - y]],
            fmt=look.marker,
            color=look.colour,
            ms=6,
            lw=1.2,
            zorder=3,
        )
        if point.repeats:
            across, up = zip(*point.repeats, strict=True)
            axes.plot(
                across, up, look.marker, color=look.colour, ms=3.5, mew=0, alpha=0.4, zorder=2
            )
        if point.label:
            axes.annotate(
                point.label, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=8
            )


def _handle(name: str, look: Look, drawing: Drawing) -> Line2D:
    from matplotlib.lines import Line2D

    joined = any(panel.joined for panel in drawing.panels) or not look.marker
    return Line2D(
        [],
        [],
        color=look.colour,
        marker=look.marker,
        ls=look.dash if joined else "",
        label=name,
    )
