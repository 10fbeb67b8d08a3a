"""Figures along something that varies: size, data, noise, epsilon."""

from __future__ import annotations

from olmo_anchor.report.entries import parameters
from olmo_anchor.report.figures.series import Drawing, Panel
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.measures import ATTRIBUTES
from olmo_anchor.study.findings.numbers import arms, data_entropy, setting
from olmo_anchor.study.findings.paper import ANCHORED, BASE, STANDARD, TOPIC, WRONG
from olmo_anchor.study.findings.pictures import along, attributes, drawing, levels, panel

__all__ = ["eps", "main", "noise", "personas", "sft_examples", "sizes", "topics", "value_only"]

_FOUR = ("base_standard", "base_annotated", "sft_standard", "sft_anchored")
_MAINS = tuple(f"main/{kind}" for kind in _FOUR)
_TWO = ("sft_standard", "sft_anchored")


def main(findings: Findings) -> Drawing:
    names = [f"main/{kind}" for kind in (*_FOUR, "sft_anchored_given")]
    return drawing(attributes(findings, names, ATTRIBUTES))


def sizes(findings: Findings) -> Drawing:
    where = setting("parameters")
    found = [arm.place("parameters") for arm in arms("sizes", "large", *_MAINS)(findings)]
    ticks = {size: parameters(size) for size in sorted({size for size in found if size})}
    chosen = {kind: arms(f"main/{kind}", "sizes", "large", kind=kind) for kind in _FOUR}
    return drawing(
        *(
            panel(
                "parameters",
                measure,
                [along(findings, kind, chosen[kind], where, measure) for kind in _FOUR],
                ticks=ticks,
                log=True,
            )
            for measure in (TOPIC, "entropy.mean")
        )
    )


def topics(findings: Findings) -> Drawing:
    return drawing(_controlled(findings, "topic", "topics", _TWO))


def personas(findings: Findings) -> Drawing:
    kinds = (*_TWO, "sft_anchored_persona")
    return drawing(
        _controlled(findings, "persona", "personas", kinds),
        _controlled(findings, "persona", "personas", kinds, "entropy.topic"),
    )


def _controlled(
    findings: Findings, of: str, group: str, kinds: tuple[str, ...], measure: str = ""
) -> Panel | None:
    key = measure or f"entropy.{of}"
    return panel(
        f"{of} entropy of the SFT data (bits)",
        key,
        [
            along(findings, kind, arms(f"main/{kind}", group, kind=kind), data_entropy(of), key)
            for kind in kinds
        ],
        levels=levels(findings, key, BASE),
        diagonal=not measure,
    )


def sft_examples(findings: Findings) -> Drawing:
    ticks = {2.0**-k: f"1/{2**k}" if k else "1" for k in range(5)}
    return drawing(
        panel(
            "share of the SFT examples, one epoch each",
            TOPIC,
            [
                along(findings, kind, arms("sft_examples", kind=kind), setting("share"), TOPIC)
                for kind in _TWO
            ],
            levels=levels(findings, TOPIC, BASE),
            ticks=ticks,
            log=True,
        )
    )


def noise(findings: Findings) -> Drawing:
    share = setting("wrong", 0.0)
    chosen = {"base_annotated": arms("main/base_annotated", "noise", kind="base_annotated")}
    for where in ("", "_right_in_sft", "_wrong_in_sft", "_wrong_among_sft"):
        kind = f"sft_anchored{where}"
        chosen[kind] = arms(ANCHORED, *(f"noise/{kind}_{wrong}" for wrong in WRONG))
    return drawing(
        *(
            panel(
                "tags that are wrong (%)",
                measure,
                [along(findings, kind, chosen[kind], share, measure) for kind in chosen],
                levels=levels(findings, measure, STANDARD),
            )
            for measure in (TOPIC, "request.outside", "followed.topic")
        )
    )


def value_only(findings: Findings) -> Drawing:
    """Places are steps: the fractions lie orders of magnitude apart, and one is 0."""
    chosen = arms(ANCHORED, "value_only")
    key = setting("value_only_fraction")
    found = {key(arm) for arm in chosen(findings)}
    steps = {
        value: float(step) for step, value in enumerate(sorted(v for v in found if v is not None))
    }

    def where(arm: ArmSpec) -> float | None:
        value = key(arm)
        return None if value is None else steps[value]

    return drawing(
        *(
            panel(
                "examples that train all but the values",
                measure,
                [along(findings, "sft_anchored", chosen, where, measure)],
                levels=levels(findings, measure, BASE, STANDARD),
                ticks={step: f"{value:g}" for value, step in steps.items()},
            )
            for measure in (TOPIC, "valid")
        )
    )


def eps(findings: Findings) -> Drawing:
    def names(kind: str) -> tuple[str, ...]:
        return f"main/{kind}", *(f"eps/{kind}_{one}" for one in ("1e-8", "1e-6", "1e-5"))

    ticks = {10.0**power: f"1e{power}" for power in (-8, -6, -5, -4)}
    gentle = along(findings, "gentle", arms("eps_gentle"), setting("eps"), "kl.topic")
    frozen = [
        along(findings, kind, arms(f"eps/sft_anchored_{kind}_1e-8"), setting("eps"), "kl.topic")
        for kind in ("frozen", "frozen_embeddings", "frozen_head")
    ]
    return drawing(
        panel(
            "Adam's epsilon",
            "kl.topic",
            [
                along(
                    findings,
                    "sft_anchored",
                    arms(*names("sft_anchored")),
                    setting("eps"),
                    "kl.topic",
                ),
                gentle,
                *frozen,
            ],
            ticks=ticks,
            log=True,
        ),
        panel(
            "Adam's epsilon",
            TOPIC,
            [along(findings, kind, arms(*names(kind)), setting("eps"), TOPIC) for kind in _TWO],
            levels=levels(findings, TOPIC, BASE),
            ticks=ticks,
            log=True,
        ),
    )
