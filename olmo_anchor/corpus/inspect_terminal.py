"""Documents on the terminal: a colour for each role, an underline for what is trained."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from olmo_anchor.corpus.inspect_view import CONTROL, DocumentView, Shares, Token, tally

__all__ = ["show"]

_COLOURS = {
    "text": "default",
    "delimiter": "magenta",
    "key": "cyan",
    "value": "yellow",
    CONTROL: "blue",
}
_NEWLINE = "\u21b5"
_BOUNDARY = "\u00b7"
_OPEN, _CLOSE = "\u27e6", "\u27e7"


def show(
    documents: Sequence[DocumentView],
    title: str,
    about: Sequence[str],
    *,
    boundaries: bool = False,
    console: Console | None = None,
) -> None:
    """Print the documents; without colours, brackets stand around what is trained."""
    console = console or Console(highlight=False)
    plain = console.color_system is None
    console.print(Text(title, style="bold"), Text(" \u00b7 ".join(about), style="dim"), sep="\n")
    console.print(_legend(plain))
    for document in documents:
        console.print()
        console.print(_document(document, plain, boundaries))
    console.print()
    console.print(_table(tally(documents), len(documents)))


def _legend(plain: bool) -> Text:
    legend = Text()
    for kind, colour in _COLOURS.items():
        legend.append(kind, style=colour)
        legend.append("  ")
    if plain:
        legend.append(f"{_OPEN}trained{_CLOSE} masked  ")
    else:
        legend.append("trained", style="underline")
        legend.append(" ")
        legend.append("masked", style="dim")
        legend.append("  ")
    legend.append(f"{_NEWLINE} a newline of the text", style="dim")
    return legend


def _document(document: DocumentView, plain: bool, boundaries: bool) -> RenderableType:
    body = Text()
    trained = False
    for inside, run in document.stretches():
        for token in run:
            if plain and token.trained != trained:
                body.append(_OPEN if token.trained else _CLOSE)
            trained = token.trained
            _append(body, token, boundaries)
        if inside:
            # The annotation stands on lines of its own; only marked newlines are in the text.
            body.append("\n")
    if plain and trained:
        body.append(_CLOSE)
    parts: list[RenderableType] = [
        Rule(Text(document.title, style="bold"), align="left", style="dim"),
        Text(" \u00b7 ".join(document.facts()), style="dim"),
        Padding(body, (1, 0, 0, 2)),
    ]
    if document.hidden:
        more = f"... {document.hidden:,} more tokens (--max-tokens)"
        parts.append(Padding(Text(more, style="dim italic"), (0, 0, 0, 2)))
    return Group(*parts)


def _append(body: Text, token: Token, boundaries: bool) -> None:
    colour = _COLOURS[token.kind]
    style = f"{colour} underline" if token.trained else f"{colour} dim"
    if token.kind == "value" and token.trained:
        style += " bold"
    if boundaries:
        body.append(_BOUNDARY, style="bright_black")
    # Control characters would drive the terminal.
    text = "".join(char if char >= " " or char in "\n\t" else "\ufffd" for char in token.text)
    pieces = text.split("\n")
    for number, piece in enumerate(pieces):
        if number:
            body.append(_NEWLINE, style="bright_black")
            body.append("\n")
        body.append(piece, style=style)


def _table(shares: Shares, documents: int) -> Table:
    counted = "1 document" if documents == 1 else f"{documents} documents"
    table = Table(box=box.SIMPLE_HEAD, title=f"Tokens of {counted}, by role", title_justify="left")
    for name in ("role", "tokens", "share", "trained", "of role"):
        table.add_column(name, justify="left" if name == "role" else "right")
    rows = [(name, shares.tokens[name], shares.trained[name]) for name in shares.tokens]
    total = ("all", shares.total, sum(shares.trained.values()))
    for name, tokens, trained in [*rows, total]:
        table.add_row(
            Text(name, style=_COLOURS.get(name, "bold")),
            f"{tokens:,}",
            f"{tokens / max(1, shares.total):.1%}",
            f"{trained:,}",
            f"{trained / tokens:.1%}" if tokens else "",
            end_section=name == rows[-1][0],
        )
    return table
