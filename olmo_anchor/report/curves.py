"""Curves of training runs over their steps: the loss, and the drift of each role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olmo_anchor.report.figures import INK, svg
from olmo_anchor.report.runs import Run, Series
from olmo_anchor.spans import ROLE_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drift_figure", "loss_figure"]

_COLOURS = ("#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#0072B2", "#999999")
_POINTS = 300


def loss_figure(runs: list[Run]) -> str | None:
    """The training loss; of a long run each point is a mean over neighbouring steps."""
    if not any(run.loss for run in runs):
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2))
    axes = figure.subplots()
    for number, run in enumerate(runs):
        _plot(axes, _thinned(run.loss), number, run.name)
    axes.set_xlabel("step")
    axes.set_ylabel("training loss (nats)")
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return svg(figure)


def drift_figure(runs: list[Run]) -> str | None:
    """Changes since step 0 on the held-out set: a row per role, cross-entropy beside entropy."""
    roles = [role for role in ROLE_NAMES if any(run.drift(role, "CE loss change") for run in runs)]
    if not roles:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 1.7 * len(roles) + 0.8))
    grid = figure.subplots(len(roles), 2, sharex=True, squeeze=False)
    for role, pair in zip(roles, grid, strict=True):
        for axes, value in zip(pair, ("CE loss", "entropy"), strict=True):
            for number, run in enumerate(runs):
                _plot(axes, run.drift(role, f"{value} change"), number, run.name, marker="o")
            axes.axhline(0, ls=":", color=INK)
            axes.set_title(f"{role}: {value}", loc="left", fontsize=9, color=INK, pad=2)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    figure.supylabel("change since step 0 (nats)", fontsize=9, color=INK)
    grid[0, 0].legend(frameon=False, labelcolor=INK, fontsize=8)
    figure.tight_layout()
    return svg(figure)


def _plot(axes: Axes, series: Series, number: int, label: str, marker: str | None = None) -> None:
    if series:
        steps, values = zip(*series, strict=True)
        style = ("-", "--", ":")[number // len(_COLOURS) % 3]
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(steps, values, style, color=colour, label=label, lw=1.4, marker=marker, ms=3)


def _thinned(series: Series) -> Series:
    """Means over as many steps each as leave no more than :data:`_POINTS` points."""
    size = -(-len(series) // _POINTS)
    groups = (series[begin : begin + size] for begin in range(0, len(series), size or 1))
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]
