"""The findings as a tidy table, and for the terminal."""

from __future__ import annotations

import csv
import io

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from olmo_anchor.report.numbers import NOTHING
from olmo_anchor.study.findings.estimate import ENOUGH, over_seeds, rounded
from olmo_anchor.study.findings.findings import Findings, missing_lines
from olmo_anchor.study.findings.measures import MEASURES

__all__ = ["cell", "csv_text", "terminal"]

_SHOWN = {
    "entropy.topic": "topic\nbits",
    "entropy.persona": "persona\nbits",
    "gap.topic": "gap\nclosed",
    "valid": "\nvalid",
    "style": "\nstyle",
    "request.outside": "request\nothers",
    "kl.topic": "prior\nKL",
}
"""Means only: 80 columns have no room for intervals, which the page has."""
_FEW = 6


def csv_text(findings: Findings) -> str:
    """A line for each arm and measure: ``group``, ``arm``, ``title``, ``method``, ``measure``,
    ``mean``, ``low``, ``high`` (both empty below three seeds), ``seeds`` (how many), and the value
    at each seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    about = ("group", "name", "title", "method")
    seeds = findings.numbers
    writer.writerow(
        ["group", "arm", *about[2:], "measure", "mean", "low", "high", "seeds"]
        + [f"seed_{seed}" for seed in seeds]
    )
    for arm in findings.arms.values():
        keys = dict.fromkeys(key for of in findings.values.get(arm.name, {}).values() for key in of)
        for key in keys:
            at = findings.at(arm.name, key)
            number = findings.of(arm.name, key)
            assert number is not None
            writer.writerow(
                [
                    *(getattr(arm, field) for field in about),
                    *(key, number.value, number.low, number.high, len(at)),
                    *map(at.get, seeds),
                ]
            )
    return out.getvalue()


def cell(findings: Findings, arm: str, measure: str) -> str:
    """A number over seeds, as a table shows it. Of a seed that lacks it, why, where it was
    withheld; of many seeds, of how many the number is."""
    at, digits = findings.at(arm, measure), MEASURES[measure].digits
    whys = {seed: findings.why_not(arm, measure, seed) for seed in findings.numbers}
    if not at:
        return next((f"({why})" for why in whys.values() if why), NOTHING)
    if len(whys) < ENOUGH:
        return ", ".join(
            rounded(at[seed], digits) if seed in at else f"({why})" if why else NOTHING
            for seed, why in whys.items()
        )
    told = over_seeds([at[seed] for seed in sorted(at)]).text(digits)
    return told if len(at) == len(whys) else f"{told} ({len(at)} of {len(whys)})"


def _mean(findings: Findings, arm: str, measure: str) -> str:
    found = findings.of(arm, measure)
    return NOTHING if found is None else rounded(found.value, MEASURES[measure].digits)


def terminal(findings: Findings) -> Group:
    """A table of means for each group, with what says most, and below it all that is missing."""
    parts: list[RenderableType] = []
    for group in dict.fromkeys(arm.group for arm in findings.arms.values()):
        table = Table(
            title=group, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
        )
        table.add_column("arm", overflow="fold")
        for heading in _SHOWN.values():
            table.add_column(heading, justify="right", no_wrap=True)
        for arm in findings.group(group):
            name = arm.name.removeprefix(f"{group}/")
            table.add_row(Text(name), *(_mean(findings, arm.name, key) for key in _SHOWN))
        parts += [table, Text()]
    return Group(*parts, *map(Text, missing_lines(findings, most=_FEW)))
