"""The figures of the study, each a function of what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from olmo_anchor.report.figures.series import Drawing
from olmo_anchor.study.findings import figures_along, figures_plane
from olmo_anchor.study.findings.findings import Findings

__all__ = ["FIGURES"]

FIGURES: Mapping[str, Callable[[Findings], Drawing]] = {
    "main": figures_along.main,
    "sizes": figures_along.sizes,
    "mask": figures_plane.mask,
    "skip": figures_plane.skip,
    "topics": figures_along.topics,
    "personas": figures_along.personas,
    "sft_examples": figures_along.sft_examples,
    "held_out": figures_plane.held_out,
    "temperature": figures_plane.temperature,
    "baselines": figures_plane.baselines,
    "noise": figures_along.noise,
    "value_only": figures_along.value_only,
    "eps": figures_along.eps,
}
"""By name, which is that of its file."""
