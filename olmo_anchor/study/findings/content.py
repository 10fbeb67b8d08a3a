"""What the page and the document say, section by section, from the findings alone."""

from __future__ import annotations

from dataclasses import dataclass

from olmo_anchor.report.figures.series import Drawing
from olmo_anchor.report.plain import PlainTable
from olmo_anchor.study.findings.claims import RULE, Weighed, weigh
from olmo_anchor.study.findings.estimate import ENOUGH
from olmo_anchor.study.findings.figures import FIGURES
from olmo_anchor.study.findings.findings import Findings, missing_lines
from olmo_anchor.study.findings.sections import CLAIMS, SECTIONS, Section
from olmo_anchor.study.findings.tables import arms_of, arms_tables, reasons_table, withheld_note

__all__ = ["Part", "parts", "provenance", "repeats", "rule"]


@dataclass(frozen=True)
class Part:
    """:param tables: of arms; none where nothing was measured.
    :param reasons: why answers are not valid.
    :param note: on what the tables withhold; empty where they do not.
    :param drawings: by the name of the figure; those without panels are left out.
    """

    section: Section
    weighed: tuple[Weighed, ...]
    tables: tuple[PlainTable, ...]
    reasons: PlainTable | None
    drawings: dict[str, Drawing]
    missing: tuple[str, ...]
    note: str = ""


def parts(findings: Findings) -> list[Part]:
    return [_part(section, findings) for section in SECTIONS]


def _part(section: Section, findings: Findings) -> Part:
    drawings = {name: FIGURES[name](findings) for name in section.figures}
    names = {arm.name for arm in arms_of(section, findings)}
    return Part(
        section,
        tuple(weigh([CLAIMS[name] for name in section.claims], findings)),
        tuple(arms_tables(section, findings)),
        reasons_table(section, findings),
        {name: drawing for name, drawing in drawings.items() if drawing.panels},
        tuple(missing_lines(findings, names)),
        withheld_note(section, findings),
    )


def rule() -> str:
    """How claims are weighed, and how often that errs."""
    tests = sum(len(claim.tests) for claim in CLAIMS.values())
    return (
        f"{RULE} Of {tests} tests, each with an interval at 95 %, a few err by chance, and none is "
        "corrected for the others."
    )


def repeats(findings: Findings) -> str:
    """How often the study was repeated, and what a number with ± is."""
    seeds = findings.numbers
    if not seeds:
        return "Nothing has been measured yet."
    told = f"{len(seeds)} seed{'s' * (len(seeds) > 1)} ({', '.join(map(str, seeds))})."
    if len(seeds) >= ENOUGH:
        return f"{told} Numbers are means with Student's 95 % interval over seeds."
    return f"{told} Numbers are those of each seed; there are intervals from {ENOUGH} seeds on."


def provenance(findings: Findings) -> list[tuple[str, str]]:
    """Name and text of each fact about where the numbers come from."""
    facts = []
    for seed in findings.seeds:
        took = "" if seed.seconds is None else f", {seed.seconds / 60:.0f} minutes"
        grid = f"{seed.grid.get('path', 'grid')} {str(seed.grid.get('sha256', ''))[:12]}"
        measured = sum(seed.seed in of for of in findings.values.values())
        commit = f", commit {seed.grid['commit']}" if seed.grid.get("commit") else ""
        versions = ", ".join(f"{name} {version}" for name, version in seed.versions.items())
        facts.append((f"seed {seed.seed}", f"{grid}{commit}, {measured} arms{took}; {versions}"))
    if findings.seeds:
        world = ", ".join(f"{key} {value}" for key, value in findings.seeds[0].world.items())
        facts.append(("world", world))
    return facts
