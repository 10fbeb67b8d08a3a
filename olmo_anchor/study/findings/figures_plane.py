"""Figures of one measure against another: what diversity costs."""

from __future__ import annotations

from olmo_anchor.report.figures.series import Drawing, Line, Panel
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.measures import MEASURES
from olmo_anchor.study.findings.numbers import arms, setting
from olmo_anchor.study.findings.paper import ANCHORED, BASE, HOT, STANDARD, TOPIC
from olmo_anchor.study.findings.pictures import drawing, kind_title, levels, panel, plane

__all__ = ["baselines", "held_out", "mask", "skip", "temperature"]

_HEAT = setting("temperature", 1.0)
_SKIPPED = (
    "skip/sft_without_25",
    "skip/sft_without_25_opening",
    "skip/base_without_15_sft",
    "skip/base_without_15_sft_opening",
)
_OF_HEAT = {
    "base_standard": (),
    "base_annotated": (),
    "sft_standard": HOT,
    "sft_anchored": (),
}


def temperature(findings: Findings) -> Drawing:
    lines = [
        plane(
            findings,
            kind_title(kind),
            kind,
            arms(f"main/{kind}", "temperature", *hot, kind=kind),
            ("valid", TOPIC),
            _HEAT,
        )
        for kind, hot in _OF_HEAT.items()
    ]
    return drawing(panel(MEASURES["valid"].axis, TOPIC, lines))


def _warmth(arm: ArmSpec) -> str:
    return f"T {_HEAT(arm):g}"


def held_out(findings: Findings) -> Drawing:
    """A panel for each method: p(y | x) and p(y | x, z) have no scale in common."""
    panels = []
    for kind in ("sft_standard", "sft_anchored"):
        chosen = {
            "learning rates": (arms(f"main/{kind}", "lr", kind=kind), "lr"),
            "shares of the examples": (arms("sft_examples", kind=kind), "share"),
        }
        lines = [
            plane(findings, name, name, of, ("loss", TOPIC), setting(key))
            for name, (of, key) in chosen.items()
        ]
        panels.append(panel(MEASURES["loss"].axis, TOPIC, lines, title=kind_title(kind)))
    return drawing(*panels)


def baselines(findings: Findings) -> Drawing:
    """Up and to the right is better."""
    return drawing(
        *(
            panel(MEASURES[quality].axis, TOPIC, _baselines(findings, quality))
            for quality in ("style", "valid", "request.outside")
        )
    )


def _baselines(findings: Findings, quality: str) -> list[Line | None]:
    axes, weight = (quality, TOPIC), setting("weight")
    standard = "SFT, standard, by temperature"
    verbalized = arms("sampling/sft_standard_verbalized")
    return [
        plane(findings, kind_title("base_standard"), "base_standard", arms(BASE), axes),
        plane(findings, standard, "sft_standard", arms(STANDARD, *HOT), axes, _HEAT, _warmth),
        plane(findings, kind_title("sft_anchored"), "sft_anchored", arms(ANCHORED), axes),
        *(
            plane(findings, kind_title(kind), kind, arms("regularized", kind=kind), axes, weight)
            for kind in ("sft_kl", "sft_entropy")
        ),
        plane(findings, "verbalized sampling", "verbalized", verbalized, axes),
    ]


def mask(findings: Findings) -> Drawing:
    return drawing(
        *(
            _one_by_one(findings, quality, STANDARD, ANCHORED, "mask")
            for quality in ("style", "request.outside")
        )
    )


def skip(findings: Findings) -> Drawing:
    """A line for each model: its annotation sampled, skipped, and empty."""
    dotted = levels(findings, TOPIC, BASE)
    panels = []
    for quality, label in (("valid", None), ("style", _way)):
        lines = []
        for model in (ANCHORED, *_SKIPPED):
            short = model.partition("/")[2]
            ways = arms(model, f"skip/{short}_skip", f"skip/{short}_empty")
            lines.append(plane(findings, short, model, ways, (quality, TOPIC), label=label))
        panels.append(panel(MEASURES[quality].axis, TOPIC, lines, levels=dotted))
    return drawing(*panels)


def _way(arm: ArmSpec) -> str:
    return str(arm.at.get("annotation", "sampled"))


def _one_by_one(findings: Findings, quality: str, *names_or_groups: str) -> Panel | None:
    lines = [
        plane(findings, arm.title, _method(arm), arms(arm.name), (quality, TOPIC))
        for arm in arms(*names_or_groups)(findings)
    ]
    return panel(MEASURES[quality].axis, TOPIC, lines, levels=levels(findings, TOPIC, BASE))


def _method(arm: ArmSpec) -> str:
    """A main arm has its colour everywhere; variants differ from it."""
    return arm.kind if arm.group == "main" else arm.name
