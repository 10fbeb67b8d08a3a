"""``olmo-anchor report``: one self-contained HTML page from any set of summaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from olmo_anchor.errors import InputError
from olmo_anchor.report.figures import diversity_figure, labels_figure
from olmo_anchor.report.html import check_page, render_page, write_page
from olmo_anchor.report.load import ARM_NAMES, Summary, alike, load_summaries, maximum, mean
from olmo_anchor.report.table import closing_lines, columns, rows, terminal_table

__all__ = ["write_report"]

_TITLE = "olmo_anchor report"


def write_report(folders: list[Path], out: Path) -> None:
    """Write the page and print the table.

    :param folders: each with a ``summary.json``.
    :raises InputError: when one has none, ``out`` is a file that is no such page, or matplotlib or
        jinja2 is not installed.
    """
    summaries = load_summaries(folders)
    check_page(out, _TITLE, "olmo-anchor report")
    write_page(out, render(summaries))
    console = Console()
    console.print()
    console.print(terminal_table(summaries))
    console.print(f"\n{_verdict(summaries)}", highlight=False)
    console.print(f"[bold]{out}[/bold]", highlight=False, soft_wrap=True)


def render(summaries: list[Summary]) -> str:
    """The page as HTML text. The same summaries give the same bytes."""
    try:
        figures = {"diversity": diversity_figure(summaries), "labels": labels_figure(summaries[0])}
    except ImportError:
        raise InputError("the report needs matplotlib: pip install 'olmo-anchor[report]'") from None
    return render_page(
        "olmo_anchor.report",
        "page.html.jinja",
        title=_TITLE,
        verdict=_verdict(summaries),
        tiles=_tiles(summaries),
        summaries=summaries,
        arm_names=ARM_NAMES,
        columns=columns(summaries),
        rows=rows(summaries),
        closing={summary.name: closing_lines(summary) for summary in summaries},
        figures=figures,
        examples=_examples(summaries[0]),
        headline=summaries[0].headline,
        maximum=maximum(alike(summaries)),
    )


def _values(summaries: list[Summary], arm: str) -> list[float]:
    found = (summary.diversity(arm) for summary in alike(summaries))
    return [measured["value"] for measured in found if measured]


def _gaps(summaries: list[Summary]) -> list[float]:
    found = (summary.content.get("gap_closed") for summary in alike(summaries))
    return [gap["value"] for gap in found if gap]


def _verdict(summaries: list[Summary]) -> str:
    arms = ("base_standard", "sft_standard", "sft_anchored")
    # Each mean over the same runs: those that have all three.
    runs = [run for run in alike(summaries) if all(map(run.diversity, arms))]
    if not runs:
        return "No arm has been compared with its twin: the table says what was measured."
    base, sft, anchored = (mean(_values(runs, arm)) for arm in arms)
    over = f", mean of {len(runs)} runs" if len(runs) > 1 else ""
    headline = runs[0].headline
    unit = f" {headline.unit} of" if headline.unit else " of"
    sentence = (
        f"The base model's answers have {base:.2f}{unit} {headline.title}; standard SFT leaves "
        f"{sft:.2f}, anchored SFT {anchored:.2f}{over}."
    )
    if gaps := _gaps(runs):
        sentence += f" Anchoring closes {mean(gaps):.0%} of the gap{_of(len(gaps), len(runs))}."
    return sentence


def _of(count: int, runs: int) -> str:
    """Nothing where a number is over all runs."""
    return "" if count == runs else f" ({count} run{'s' * (count > 1)})"


def _tiles(summaries: list[Summary]) -> list[tuple[str, str, str]]:
    """Arm (for its colour), number and caption."""
    tiles = []
    unit, runs = summaries[0].headline.unit, len(alike(summaries))
    for arm, title in ARM_NAMES.items():
        if values := _values(summaries, arm):
            caption = f"{unit} · {title}" if unit else title
            tiles.append((arm, f"{mean(values):.2f}", caption + _of(len(values), runs)))
    if gaps := _gaps(summaries):
        tiles.append(("gap", f"{mean(gaps):.0%}", "of the gap closed" + _of(len(gaps), runs)))
    return tiles


def _examples(summary: Summary) -> list[list[tuple[str, dict[str, Any]]]]:
    """Answers of both SFT arms side by side, row by row; of all arms without such a pair."""
    arms = [name for name in ("sft_standard", "sft_anchored") if name in summary.arms]
    shown = {
        name: summary.arms[name].get("examples") or []
        for name in (arms if len(arms) == 2 else summary.arms)
    }
    shown = {name: examples for name, examples in shown.items() if examples}
    depth = min(map(len, shown.values()), default=0)
    return [[(name, examples[row]) for name, examples in shown.items()] for row in range(depth)]
