"""``study.html``: one self-contained page of what the study found."""

from __future__ import annotations

from dataclasses import dataclass

from olmo_anchor.report.figures.draw import draw_panels, looks
from olmo_anchor.report.figures.style import svg
from olmo_anchor.report.html import render_page
from olmo_anchor.report.numbers import NOTHING
from olmo_anchor.report.plain import PlainTable
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.claims import weigh
from olmo_anchor.study.findings.content import Part, parts, provenance, repeats, rule
from olmo_anchor.study.findings.estimate import ENOUGH
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.measures import MEASURES
from olmo_anchor.study.findings.paper import ANCHORED, BASE, PAPER, STANDARD, TOPIC
from olmo_anchor.study.findings.questions import OWN
from olmo_anchor.study.findings.tables import claims_table

__all__ = ["TITLE", "headline", "render"]

TITLE = "olmo_anchor study"
_INTERVALS = " Bars are 95 % intervals over seeds, faint points the seeds."


@dataclass(frozen=True)
class _Tile:
    method: str
    number: str
    caption: str


def render(findings: Findings) -> str:
    """The page as HTML text. The same findings give the same bytes.

    :raises InputError: when jinja2 is not installed.
    :raises ImportError: when matplotlib is not installed.
    """
    enough = len(findings.seeds) >= ENOUGH
    return render_page(
        "olmo_anchor.study.findings",
        "study.html.jinja",
        title=TITLE,
        verdict=headline(findings),
        tiles=_tiles(findings),
        repeats=repeats(findings),
        paper=claims_table(weigh(PAPER, findings)),
        own=claims_table(weigh(OWN, findings), placed=False),
        rule=rule(),
        parts=[_shown(part) for part in parts(findings)],
        intervals=_INTERVALS if enough else "",
        columns=[(measure.short, measure.meaning) for measure in MEASURES.values()],
        provenance=provenance(findings),
        trained=_trained(findings),
    )


def _shown(part: Part) -> dict[str, object]:
    drawn = [svg(figure) for drawing in part.drawings.values() for figure in draw_panels(drawing)]
    groups = " ".join(f"--arms {group}" for group in part.section.groups)
    return {
        **vars(part),
        "legends": [
            looks(drawing)
            for drawing in part.drawings.values()
            if not all(panel.direct for panel in drawing.panels)
        ],
        "drawn": drawn,
        "command": f"olmo-anchor study run --out runs/study --seed 0 {groups}",
    }


def headline(findings: Findings) -> str:
    """The result in a sentence or two, from the main arms."""
    of = {name: findings.of(name, TOPIC) for name in (BASE, STANDARD, ANCHORED)}
    if any(number is None for number in of.values()):
        return "The main arms have not been measured yet."
    base, standard, anchored = (number.value for number in of.values() if number is not None)
    sentence = (
        f"The base model's answers have {base:.2f} bits of topic entropy; standard SFT leaves "
        f"{standard:.2f}, anchored SFT {anchored:.2f}."
    )
    if (gap := findings.of(ANCHORED, "gap.topic")) is not None:
        sentence += f" Anchoring closes {gap.value:.0%} of the gap."
    return sentence


def _tiles(findings: Findings) -> list[_Tile]:
    told = (
        (BASE, TOPIC, "base_standard", "bits of topic entropy, base"),
        (STANDARD, TOPIC, "sft_standard", "bits, standard SFT"),
        (ANCHORED, TOPIC, "sft_anchored", "bits, anchored SFT"),
        (ANCHORED, "gap.topic", "gap", "of the topic gap closed"),
        (ANCHORED, "gap.mean", "gap", "of the gap closed, mean of four attributes"),
    )
    return [
        _Tile(method, f"{found.value:.0%}" if method == "gap" else f"{found.value:.2f}", caption)
        for arm, measure, method, caption in told
        if (found := findings.of(arm, measure)) is not None
    ]


def _trained(findings: Findings) -> PlainTable | None:
    """What the manifests say of the first seed's runs."""
    rows = tuple(
        _run(arm) for arm in findings.arms.values() if arm.of is None and arm.facts.get("steps")
    )
    header = ("arm", "parameters", "conversations", "steps", "rate", "epsilon", "seconds")
    return PlainTable("", header, rows) if rows else None


def _run(arm: ArmSpec) -> tuple[str, ...]:
    facts = arm.facts
    base = arm.method.startswith("base")
    return (
        arm.name,
        _told(facts.get("parameters"), ",.0f"),
        NOTHING if base else _told(facts.get("conversations"), ",.0f"),
        _told(facts.get("steps"), ",.0f"),
        _told(facts.get("lr"), "g"),
        _told(facts.get("eps"), "g"),
        _told(facts.get("seconds"), ".0f"),
    )


def _told(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else NOTHING
