"""The tables of a section as text, the same on the page and in the document."""

from __future__ import annotations

from collections.abc import Sequence

from olmo_anchor.report.numbers import NOTHING
from olmo_anchor.report.plain import PlainTable
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.claims import Weighed
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.gaps import LEAST_STYLE
from olmo_anchor.study.findings.measures import ENOUGH_ANSWERS, INVALID, MEASURES
from olmo_anchor.study.findings.sections import Section
from olmo_anchor.study.findings.tidy import cell

__all__ = [
    "arms_of",
    "arms_tables",
    "claims_table",
    "reasons_table",
    "tests_table",
    "withheld_note",
]

_WHY = {
    "n ": f"(n), there are fewer valid answers than {ENOUGH_ANSWERS}, too few for an entropy",
    "style ": f"(style), less than {LEAST_STYLE} of the answers have the style of SFT, so that the "
    "model stayed the base and closed no gap",
    "base ": "(base without), the base never saw an annotation, so that there is no prior to keep",
}


def arms_of(section: Section, findings: Findings) -> list[ArmSpec]:
    """Those beside it, then those of its groups."""
    beside = [findings.arms[name] for name in section.beside if name in findings.arms]
    return [*beside, *(arm for group in section.groups for arm in findings.group(group))]


def arms_tables(section: Section, findings: Findings) -> list[PlainTable]:
    """A row for each arm that was measured; columns without a number are left out. Empty
    where nothing was measured."""
    measured = [arm.name for arm in arms_of(section, findings) if findings.values.get(arm.name)]
    tables = (_table(findings, measured, keys) for keys in (section.columns, *section.more))
    return [table for table in tables if table is not None]


def withheld_note(section: Section, findings: Findings) -> str:
    """What stands in brackets in the place of numbers; empty where nothing does."""
    keys = {key for of in (section.columns, *section.more) for key in of}
    names = {arm.name for arm in arms_of(section, findings)}
    whys = {one.why for one in findings.withheld if one.arm in names and one.measure in keys}
    told = [says for begins, says in _WHY.items() if any(why.startswith(begins) for why in whys)]
    return f"In brackets, where no number is given: {'; '.join(told)}." if told else ""


def _table(findings: Findings, arms: Sequence[str], keys: Sequence[str]) -> PlainTable | None:
    columns = [key for key in keys if any(findings.of(arm, key) is not None for arm in arms)]
    if not columns:
        return None
    rows = tuple((arm, *(cell(findings, arm, key) for key in columns)) for arm in arms)
    return PlainTable("", ("arm", *(MEASURES[key].short for key in columns)), rows)


def reasons_table(section: Section, findings: Findings) -> PlainTable | None:
    """Why answers are not valid: the share of all answers by reason; None where none is known."""
    arms = [arm.name for arm in arms_of(section, findings) if findings.values.get(arm.name)]
    found = {
        key
        for arm in arms
        for of in findings.values[arm].values()
        for key in of
        if key.startswith(INVALID)
    }
    if not found:
        return None
    columns = sorted(found)
    rows = tuple((arm, *(_share(findings, arm, key) for key in columns)) for arm in arms)
    return PlainTable("", ("arm", *(key.removeprefix(INVALID) for key in columns)), rows)


def _share(findings: Findings, arm: str, key: str) -> str:
    number = findings.of(arm, key)
    return NOTHING if number is None else number.text(3)


def tests_table(weighed: Sequence[Weighed]) -> PlainTable:
    """A row for each test of the claims, with its range, its number and its outcome."""
    rows = tuple(
        (test.test.says, test.number, test.test.range, test.told)
        for one in weighed
        for test in one.tests
    )
    return PlainTable("", ("number", "found", "claimed", "so"), rows)


def claims_table(weighed: Sequence[Weighed], *, placed: bool = True) -> PlainTable:
    """A row for each claim.

    :param placed: with its place in the paper.
    """
    header = ("claim", "here", "in the paper") if placed else ("question", "here")
    rows = tuple(
        (one.claim.says, one.told, *((one.claim.place,) if placed else ())) for one in weighed
    )
    return PlainTable("", header, rows)
