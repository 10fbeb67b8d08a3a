"""The tables of a section as text, the same on the page and in the document."""

from __future__ import annotations

from collections.abc import Sequence

from olmo_anchor.report.numbers import NOTHING
from olmo_anchor.report.plain import PlainTable
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.claims import Weighed
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.measures import MEASURES
from olmo_anchor.study.findings.sections import Section
from olmo_anchor.study.findings.tidy import cell

__all__ = ["arms_of", "arms_table", "claims_table", "tests_table"]


def arms_of(section: Section, findings: Findings) -> list[ArmSpec]:
    """Those beside it, then those of its groups."""
    beside = [findings.arms[name] for name in section.beside if name in findings.arms]
    return [*beside, *(arm for group in section.groups for arm in findings.group(group))]


def arms_table(section: Section, findings: Findings) -> PlainTable | None:
    """A row for each arm that was measured; columns without a number are left out. None where
    nothing was measured."""
    measured = [arm for arm in arms_of(section, findings) if findings.values.get(arm.name)]
    columns = [
        key
        for key in section.columns
        if any(findings.of(arm.name, key) is not None for arm in measured)
    ]
    if not measured:
        return None
    rows = tuple(
        (arm.name, *(cell(findings, arm.name, key) for key in columns)) for arm in measured
    )
    return PlainTable("", ("arm", *(MEASURES[key].short for key in columns)), rows)


def tests_table(weighed: Sequence[Weighed]) -> PlainTable:
    """A row for each test of the claims, with its range, its number and its outcome."""
    rows = tuple(
        (test.test.says, test.number, test.test.range, test.told)
        for one in weighed
        for test in one.tests
    )
    return PlainTable("", ("number", "found", "claimed", "so"), rows)


def claims_table(weighed: Sequence[Weighed]) -> PlainTable:
    """A row for each claim."""
    rows = tuple((one.claim.says, one.claim.place or NOTHING, one.told) for one in weighed)
    return PlainTable("", ("claim", "in the paper", "here"), rows)
