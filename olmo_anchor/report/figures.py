"""Figures as SVG text, colour-blind safe (Okabe-Ito), readable on light and dark pages."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from olmo_anchor.report.load import ARM_NAMES, Summary, alike, maximum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["INK", "diversity_figure", "labels_figure", "svg"]

COLOURS = {
    "base_standard": "#999999",
    "base_annotated": "#56B4E9",
    "sft_standard": "#D55E00",
    "sft_anchored": "#009E73",
}
_OTHER = "#CC79A7"
INK = "#7a7f87"
"""Of text and axes: readable on light and dark paper."""


def diversity_figure(summaries: list[Summary]) -> str | None:
    """The headline measure of each arm with its interval, one marker per run; dotted: the most.

    Of the first summary and those that have the same measure. None where no arm has it.
    """
    summaries = alike(summaries)
    if not any(summary.diversity(arm) for summary in summaries for arm in summary.arms):
        return None
    from matplotlib.figure import Figure

    arms = list(dict.fromkeys(name for summary in summaries for name in summary.arms))
    figure = Figure(figsize=(7.2, 0.62 * len(arms) + 1.0))
    axes = figure.subplots()
    for place, arm in enumerate(arms):
        for number, summary in enumerate(summaries):
            measured = summary.diversity(arm)
            if measured is None:
                continue
            at = place + 0.16 * (number - (len(summaries) - 1) / 2)
            value = measured["value"]
            error = [[value - measured["low"]], [measured["high"] - value]]
            axes.errorbar(
                value,
                at,
                xerr=error,
                fmt="o",
                ms=8,
                capsize=4,
                lw=2,
                color=COLOURS.get(arm, _OTHER),
            )
    if most := maximum(summaries):
        axes.axvline(most, ls=":", color=INK)
    axes.set_xlim(left=0)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_yticks(range(len(arms)), [ARM_NAMES.get(arm, arm) for arm in arms])
    headline = summaries[0].headline
    axes.set_xlabel(f"{headline.title} of the answers" + (headline.unit and f" ({headline.unit})"))
    return svg(figure)


def labels_figure(summary: Summary) -> str | None:
    """What each arm's answers are about: share by label, labels in the order of the first arm."""
    key = f"{summary.label}_counts"
    arms = {name: arm[key] for name, arm in summary.arms.items() if arm.get(key)}
    if not arms:
        return None
    from matplotlib.figure import Figure

    taught = summary.content.get(f"sft_{summary.label}s") or []
    seen = {label for counts in arms.values() for label in counts}
    labels = [*taught, *sorted(seen - set(taught))]
    figure = Figure(figsize=(7.2, 1.15 * len(arms) + 0.9))
    axes = figure.subplots(len(arms), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, (arm, counts) in zip(axes, arms.items(), strict=True):
        total = sum(counts.values())
        shares = [counts.get(label, 0) / total for label in labels]
        ax.bar(range(len(labels)), shares, color=COLOURS.get(arm, _OTHER), width=0.8)
        ax.set_title(ARM_NAMES.get(arm, arm), loc="left", fontsize=9, color=INK, pad=2)
        ax.set_xlim(-0.7, len(labels) - 0.3)
    if taught:
        axes[-1].set_xlabel(
            f"{summary.label}s: the first {len(taught)} are those of the SFT data, then the "
            f"other {len(labels) - len(taught)}"
        )
    axes[-1].set_xticks([])
    figure.supylabel("share of answers", fontsize=9, color=INK)
    return svg(figure)


def svg(figure: Figure) -> str:
    """A figure as SVG text for a page, in ink that is readable on light and dark paper."""
    from matplotlib import rc_context

    for axes in figure.axes:
        axes.tick_params(colors=INK)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(INK)
    out = io.StringIO()
    # Text stays text, and two runs on the same numbers give the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "olmo_anchor"}):
        figure.savefig(
            out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )
    text = out.getvalue()
    return text[text.index("<svg") :]
