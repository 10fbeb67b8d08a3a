"""``olmo-anchor report``: one self-contained HTML page from summaries and training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from olmo_anchor.errors import InputError
from olmo_anchor.report.curves import drift_figure, loss_figure
from olmo_anchor.report.figures import diversity_figure, labels_figure
from olmo_anchor.report.html import check_page, render_page, write_page
from olmo_anchor.report.load import ARM_NAMES, Summary, alike, load_summaries, maximum, mean
from olmo_anchor.report.runs import METRICS, Run, drift_rows, drift_table, load_runs
from olmo_anchor.report.table import closing_lines, columns, rows, terminal_table

__all__ = ["write_report"]

_TITLE = "olmo_anchor report"


def write_report(folders: list[Path], out: Path) -> None:
    """Write the page and print the tables.

    :param folders: each with a ``summary.json``, the ``metrics.jsonl`` of a run, or both.
    :raises InputError: when one has neither, ``out`` is a file that is no such page, or matplotlib
        or jinja2 is not installed.
    """
    runs = load_runs([folder for folder in folders if (folder / METRICS).is_file()])
    of_runs = {run.folder for run in runs}
    summaries = load_summaries(
        [f for f in folders if f not in of_runs or (f / "summary.json").is_file()]
    )
    check_page(out, _TITLE, "olmo-anchor report")
    write_page(out, render(summaries, runs))
    console = Console()
    console.print()
    for made, table in ((summaries, terminal_table(summaries)), (runs, drift_table(runs))):
        if made:
            console.print(table)
    console.print(f"\n{_verdict(summaries, runs)}", highlight=False)
    console.print(f"[bold]{out}[/bold]", highlight=False, soft_wrap=True)


def render(summaries: list[Summary], runs: list[Run] | None = None) -> str:
    """The page as HTML text. The same summaries and runs give the same bytes."""
    runs = runs or []
    try:
        figures = {"loss": loss_figure(runs), "drift": drift_figure(runs)}
        if summaries:
            figures["diversity"] = diversity_figure(summaries)
            figures["labels"] = labels_figure(summaries[0])
    except ImportError:
        raise InputError("the report needs matplotlib: pip install 'olmo-anchor[report]'") from None
    of_summaries: dict[str, Any] = {}
    if summaries:
        of_summaries = {
            "tiles": _tiles(summaries),
            "arm_names": ARM_NAMES,
            "columns": columns(summaries),
            "rows": rows(summaries),
            "closing": {summary.name: closing_lines(summary) for summary in summaries},
            "examples": _examples(summaries[0]),
            "headline": summaries[0].headline,
            "maximum": maximum(alike(summaries)),
        }
    return render_page(
        "olmo_anchor.report",
        "page.html.jinja",
        title=_TITLE,
        verdict=_verdict(summaries, runs),
        summaries=summaries,
        runs=runs,
        drift_rows=drift_rows(runs),
        figures=figures,
        **of_summaries,
    )


def _values(summaries: list[Summary], arm: str) -> list[float]:
    found = (summary.diversity(arm) for summary in alike(summaries))
    return [measured["value"] for measured in found if measured]


def _gaps(summaries: list[Summary]) -> list[float]:
    found = (summary.content.get("gap_closed") for summary in alike(summaries))
    return [gap["value"] for gap in found if gap]


def _verdict(summaries: list[Summary], runs: list[Run]) -> str:
    return _verdict_on_arms(summaries) if summaries else _verdict_on_runs(runs)


def _verdict_on_runs(runs: list[Run]) -> str:
    changes = [(run.name, run.drift("value", "CE loss change")) for run in runs]
    drifted = [f"{name} {series[-1][1]:+.2f}" for name, series in changes if series]
    if not drifted:
        return f"How {len(runs)} run{'s' * (len(runs) > 1)} trained; drift was not measured."
    return (
        "Cross-entropy of annotation values on the held-out set, change since step 0 in nats: "
        f"{', '.join(drifted)}."
    )


def _verdict_on_arms(summaries: list[Summary]) -> str:
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
