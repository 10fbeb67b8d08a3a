"""The numbers of ``annotations stats`` on the terminal, and the lines that the page has too."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from olmo_anchor.quality.printable import printable

__all__ = ["agreement_facts", "facts", "print_stats"]

NOTHING = "\u2013"

Stats = dict[str, Any]


def print_stats(stats: Stats, console: Console | None = None) -> None:
    """Print what there is to say about a folder."""
    console = console or Console(highlight=False)
    shown: list[RenderableType] = [Text(stats["annotations"], style="bold"), _grid(facts(stats))]
    shown += ["", _keys(stats), _ENTROPY, "", *_common(stats)]
    if stats["agreement"]:
        shown += ["", *_agreement(stats["agreement"])]
    for what, why in stats["not_measured"].items():
        shown += ["", Text(f"not measured: {what}: {why}", style="yellow")]
    console.print(Group(*shown), soft_wrap=False)


_ENTROPY = Text(
    "entropy: plug-in, bits, over all values; too low where most values are rare\n"
    "alike: distinct values that are gone once case and spacing do not count",
    style="dim",
)


def _grid(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, value in rows:
        grid.add_row(Text(name, style="cyan"), Text(printable(value)))
    return grid


def facts(stats: Stats) -> list[tuple[str, str]]:
    """About the folder as a whole: name and value."""
    chunks, tags, tokens = stats["chunks"], stats["tags"], stats["tokens"]
    rows = [("annotator", f"{stats['annotator'] or NOTHING}, schema {stats['schema']}")]
    if chunks["share_without"] is not None:
        rows.append(
            (
                "chunks",
                f"{chunks['chunks']:,}: {chunks['annotations']:,} annotated, "
                f"{chunks['unannotated'] or 0:,} unannotated, "
                f"{chunks['rejected'] or 0:,} rejected; {chunks['share_without']:.1%} without",
            )
        )
    reasons = sorted(chunks["rejected_reasons"].items(), key=lambda pair: -pair[1])
    rows += [("rejected", f"{times:,} \u00d7 {reason}") for reason, times in reasons[:5]]
    if tags["n"]:
        rows.append(("tags per chunk", _spread(tags)))
    if tokens and tokens["n"]:
        rows.append(("tokens each", f"{_spread(tokens)}, delimiters included"))
        whole = f"{tokens['total']:,} beside {tokens['corpus']:,} of the corpus"
        rows.append(("tokens", f"{whole}: {tokens['share']:.1%} of all"))
    if tokens and tokens["too_long"]:
        rows.append(("too long", f"{tokens['too_long']:,}: the overlay rejects them by default"))
    if tokens and tokens["unspellable"]:
        rows.append(("unspellable", f"{tokens['unspellable']:,}: the overlay rejects them"))
    duplicates, repeats = stats["duplicates"], stats["repeats"]
    same = f"{duplicates['annotations']:,} annotations ({duplicates['share']:.1%}) equal another"
    rows.append(("duplicates", same))
    for found in duplicates["most_common"]:
        tags_of = ", ".join(map(":".join, found["tags"])) or "no tag"
        rows.append(("", f"{found['times']:,} \u00d7 {tags_of}"))
    rows.append(("repeats", f"{repeats['annotations']:,} annotations have one tag twice"))
    return rows


def _spread(of: Stats) -> str:
    return f"mean {of['mean']:.1f}, median {of['median']:g}, {of['least']} to {of['most']}"


def _keys(stats: Stats) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    names = ("key", "chunks with", "values", "distinct", "once", "alike", "entropy")
    for name in names:
        table.add_column(name, justify="left" if name == "key" else "right")
    for key, found in stats["keys"].items():
        table.add_row(
            Text(key, style="bold"),
            f"{found['share']:.1%}",
            *(f"{found[name]:,}" for name in ("values", "distinct", "once", "alike")),
            f"{found['entropy_bits']:.2f}" if found["values"] else NOTHING,
        )
    return table


def _common(stats: Stats) -> list[RenderableType]:
    lines: list[tuple[str, str]] = []
    for key, found in stats["keys"].items():
        values = " \u00b7 ".join(f"{value} {times:,}" for value, times in found["most_common"])
        if values:
            lines.append((key, values))
    return ["Most common values", _grid(lines)] if lines else []


def agreement_facts(found: Stats) -> list[str]:
    """What was compared, and what could not be, in sentences."""
    said = [
        f"{found['same']:,} chunks in both; {found['equal']:.1%} of them have the same tags",
    ]
    if found["only_first"] or found["only_second"]:
        said.append(f"{found['only_first']:,} here alone, {found['only_second']:,} there alone")
    if found["other_text"]:
        said.append(f"{found['other_text']:,} at the same place with another text: not compared")
    if not found["same_tokens"]:
        said.append("the two were made from different TOKENS_DIRs")
    return said


def _agreement(found: Stats) -> list[RenderableType]:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in ("key", "in either", "in both", "equal", "overlap", "kappa"):
        table.add_column(name, justify="left" if name == "key" else "right")
    for key, of in found["keys"].items():
        table.add_row(
            Text(key, style="bold"),
            f"{of['either']:,}",
            f"{of['both']:,}",
            f"{of['equal']:.1%}",
            f"{of['jaccard']:.2f}",
            NOTHING if of["kappa"] is None else f"{of['kappa']:.2f}",
        )
    name = f" ({found['annotator']})" if found["annotator"] else ""
    return [
        Text(f"Agreement with {found['against']}{name}", style="bold"),
        *map(Text, agreement_facts(found)),
        table,
        Text(
            "equal, overlap (Jaccard): of the sets of values, where either has the key\n"
            "kappa: Cohen's, where both have it; of keys with one value per chunk",
            style="dim",
        ),
    ]
