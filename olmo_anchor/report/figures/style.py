"""How figures look: colour-blind safe (Okabe-Ito), readable on light and dark pages."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "INK", "OTHERS", "OWN_INK", "colour", "png", "svg"]

COLOURS = {
    "base_standard": "#999999",
    "base_annotated": "#56B4E9",
    "sft_standard": "#D55E00",
    "sft_anchored": "#009E73",
}
OTHERS = ("#0072B2", "#E69F00", "#CC79A7", "#56B4E9", "#D55E00", "#009E73", "#999999")
"""Of methods that are not the built-in ones, in this order."""
INK = "#7a7f87"
"""Of text and axes: readable on light and dark paper."""
_PRINT_INK = "#33373c"
OWN_INK = "own-ink"
"""The gid of a text that keeps its colour."""
_DPI = 200


def colour(method: str, number: int = 0) -> str:
    """:param number: of a method that is not built in, among those of the figure."""
    return COLOURS.get(method, OTHERS[number % len(OTHERS)])


def svg(figure: Figure, *, printed: bool = False) -> str:
    """A figure as SVG text without a background.

    :param printed: in dark ink, for white paper; else in :data:`INK`, for a page.
    """
    from matplotlib import rc_context

    _ink(figure, _PRINT_INK if printed else INK)
    out = io.StringIO()
    # Text stays text, and two runs on the same numbers give the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "olmo_anchor"}):
        figure.savefig(
            out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )
    text = out.getvalue()
    return text if printed else text[text.index("<svg") :]


def png(figure: Figure) -> bytes:
    """A figure as a PNG on white, in dark ink."""
    _ink(figure, _PRINT_INK)
    out = io.BytesIO()
    figure.savefig(
        out,
        format="png",
        dpi=_DPI,
        facecolor="white",
        bbox_inches="tight",
        metadata={"Software": None},
    )
    return out.getvalue()


def _ink(figure: Figure, ink: str) -> None:
    from matplotlib.text import Text

    for axes in figure.axes:
        axes.tick_params(colors=ink, which="both")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(ink)
    for text in figure.findobj(Text):
        if text.get_gid() != OWN_INK:
            text.set_color(ink)
