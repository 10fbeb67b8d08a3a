"""``olmo-anchor report``: one self-contained HTML page from any set of summaries."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write
from olmo_anchor.report.figures import diversity_figure, labels_figure
from olmo_anchor.report.load import ARM_NAMES, Summary, load_summaries, mean
from olmo_anchor.report.table import closing_lines, columns, rows, terminal_table

__all__ = ["write_report"]


def write_report(folders: list[Path], out: Path) -> None:
    """Write the page and print the table.

    :param folders: each with a ``summary.json``.
    :raises InputError: when one has none, or matplotlib or jinja2 is not installed.
    """
    summaries = load_summaries(folders)
    with atomic_write(out) as file:
        file.write(render(summaries).encode())
    console = Console()
    console.print()
    console.print(terminal_table(summaries))
    console.print(f"\n{_verdict(summaries)}", highlight=False)
    console.print(f"[bold]{out}[/bold]", highlight=False, soft_wrap=True)


def render(summaries: list[Summary]) -> str:
    """The page as HTML text. The same summaries give the same bytes."""
    try:
        from jinja2 import Environment
    except ImportError:
        raise InputError("the report needs jinja2: pip install 'olmo-anchor[report]'") from None
    try:
        figures = {"diversity": diversity_figure(summaries), "labels": labels_figure(summaries[0])}
    except ImportError:
        raise InputError("the report needs matplotlib: pip install 'olmo-anchor[report]'") from None
    template = files("olmo_anchor.report").joinpath("page.html.jinja").read_text("utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
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
    )


def _diversity(summaries: list[Summary], arm: str) -> float | None:
    return mean([(summary.diversity(arm) or {}).get("value") for summary in summaries])


def _gap(summaries: list[Summary]) -> float | None:
    return mean([(s.content.get("gap_closed") or {}).get("value") for s in summaries])


def _verdict(summaries: list[Summary]) -> str:
    base, sft, anchored = (
        _diversity(summaries, arm) for arm in ("base_standard", "sft_standard", "sft_anchored")
    )
    if base is None or sft is None or anchored is None:
        return "No arm has been compared with its twin: the table says what was measured."
    over = f", mean of {len(summaries)} runs" if len(summaries) > 1 else ""
    headline = summaries[0].headline
    unit = f" {headline.unit} of" if headline.unit else " of"
    sentence = (
        f"The base model's answers have {base:.2f}{unit} {headline.title}; standard SFT leaves "
        f"{sft:.2f}, anchored SFT {anchored:.2f}{over}."
    )
    gap = _gap(summaries)
    if gap is not None:
        sentence += f" Anchoring closes {gap:.0%} of the gap."
    return sentence


def _tiles(summaries: list[Summary]) -> list[tuple[str, str, str]]:
    """Arm (for its colour), number and caption."""
    tiles = []
    unit = summaries[0].headline.unit
    for arm, caption in ARM_NAMES.items():
        value = _diversity(summaries, arm)
        if value is not None:
            tiles.append((arm, f"{value:.2f}", f"{unit} · {caption}" if unit else caption))
    gap = _gap(summaries)
    if gap is not None:
        tiles.append(("gap", f"{gap:.0%}", "of the gap closed"))
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
