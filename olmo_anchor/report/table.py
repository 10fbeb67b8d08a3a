"""The numbers of the arms as rows, for the terminal and for the page alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from olmo_anchor.report.load import ARM_NAMES, Summary

__all__ = ["COLUMNS", "Row", "closing_lines", "rows", "terminal_table"]

COLUMNS = (
    (
        "entropy",
        "semantic entropy of the valid answers to open requests, bits, with its 95 % interval",
    ),
    ("valid", "share of answers that are a whole story on one topic"),
    ("style", "share of answers in the style that SFT teaches"),
    ("annotation followed", "share of answers that are about what their annotation says"),
    (
        "request followed, inside",
        "share of answers about the topic that the request names, topics of SFT",
    ),
    ("request followed, outside", "the same for topics that SFT never showed"),
)
"""Name and meaning of each column."""


@dataclass(frozen=True)
class Row:
    run: str
    arm: str
    title: str
    cells: tuple[str, ...]


_NOTHING = "\u2013"


def _bits(entropy: dict[str, Any] | None) -> str:
    if not entropy or entropy["value"] is None:
        return _NOTHING
    return f"{entropy['value']:.2f} [{entropy['low']:.2f}, {entropy['high']:.2f}]"


def _share(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"


def rows(summaries: list[Summary]) -> list[Row]:
    """One row per run and arm, cells in the order of :data:`COLUMNS`."""
    made = []
    for summary in summaries:
        entropy = f"{summary.entropy_of}_entropy_bits"
        for name, arm in summary.arms.items():
            request = arm.get("request_followed") or {}
            cells = (
                _bits(arm.get(entropy)),
                _share(arm.get("valid")),
                _share(arm.get("style")),
                _share(arm.get("annotation_followed")),
                _share(request.get("inside")),
                _share(request.get("outside")),
            )
            made.append(Row(summary.name, name, ARM_NAMES.get(name, name), cells))
    return made


def closing_lines(summary: Summary) -> list[tuple[str, str]]:
    """What belongs to a run as a whole: name and value."""
    content = summary.content
    lines = []
    for key, title in (
        ("gap_closed", "share of the gap closed"),
        ("gap_closed_from_base_annotated", "the same against the annotated base"),
    ):
        if gap := content.get(key):
            value = f"{gap['value']:.0%} [{gap['low']:.0%}, {gap['high']:.0%}]"
            lines.append((title, value))
    if (kl := content.get("prior_kl_bits")) is not None:
        value = kl["value"] if isinstance(kl, dict) else kl
        lines.append(("prior KL of SFT from its base", f"{value:.3f} bits"))
    return lines


def terminal_table(summaries: list[Summary]) -> Group:
    """The tables that end ``make demo``, one per run; 80 columns are enough."""
    parts: list[RenderableType] = []
    for summary in summaries:
        table = Table(title=summary.name, title_justify="left", box=None, pad_edge=False)
        table.add_column("arm", no_wrap=True)
        for name, _ in COLUMNS:
            # Broken by hand, so that the numbers stay on one line.
            table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
        for row in rows([summary]):
            style = "green" if row.arm == "sft_anchored" else None
            table.add_row(row.title, *row.cells, style=style)
        parts += [table, *(f"{title}: {value}" for title, value in closing_lines(summary)), ""]
    return Group(*parts)
