"""Lines that are named where they end, and the runs that a point is the mean of."""

from __future__ import annotations

import pytest

from olmo_anchor.report.figures.draw import draw, spread
from olmo_anchor.report.figures.series import Drawing, Line, Panel, Point
from olmo_anchor.report.figures.style import svg
from olmo_anchor.report.numbers import Number


def test_names_keep_their_distance_and_order() -> None:
    assert spread([0.5, 0.1, 0.52, 0.9], 0.1) == [0.5, 0.1, 0.6, 0.9]
    assert spread([0.2, 0.2, 0.2], 0.1) == pytest.approx([0.2, 0.3, 0.4])
    assert spread([], 0.1) == []


def figure(direct: bool) -> str:
    point = Point(1.0, Number(1.0), Number(2.0), repeats=((1.0, 1.5), (1.0, 2.5)))
    line = Line("SFT, standard", "sft_standard", (point,))
    panel = Panel("", "x", "y", (line,), (("base", "base_standard", 3.0),), direct=direct)
    return svg(draw(Drawing((panel,))))


def test_named_lines_need_no_legend() -> None:
    direct, legend = figure(True), figure(False)
    assert "legend" not in direct
    assert "legend" in legend
    for name in ("SFT, standard", "base"):
        assert f">{name}</text>" in direct
    # in the colour of the line; all other text is of one ink
    named = next(one for one in direct.split("<g ") if ">SFT, standard</text>" in one)
    assert "#d55e00" in named.lower()


def test_repeats_are_faint() -> None:
    assert figure(True).count("opacity: 0.4") == 2
