"""Annotations beside their text where the terminal is wide, else above it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from olmo_anchor.quality.printable import printable
from olmo_anchor.quality.show import ShowConfig, Shown

__all__ = ["print_shown"]

_WIDE = 100
"""Columns of a terminal from which on text and annotation stand side by side."""
_OPEN, _CLOSE = "\u27e6", "\u27e7"
"""Around a match, where there are no colours."""


def print_shown(
    shown: Sequence[Shown], config: ShowConfig, max_chars: int, console: Console | None = None
) -> None:
    """:param max_chars: of a longer text only so much is shown, around the first match."""
    console = console or Console(highlight=False)
    printer = _Printer(config, max_chars, console)
    for one in shown:
        console.print(Text(printable(one.entry.title), style="bold underline"))
        console.print(printer.body(one))


class _Printer:
    def __init__(self, config: ShowConfig, max_chars: int, console: Console) -> None:
        pattern = config.pattern()
        self.in_tags = pattern if config.within != "text" else None
        self.in_text = pattern if config.within != "tags" else None
        self.key = config.key
        self.max_chars = max_chars
        self.wide = console.width >= _WIDE
        self.plain = console.color_system is None

    def body(self, one: Shown) -> RenderableType:
        about = self._about(one)
        if one.text is None:
            return Padding(about, (0, 0, 1, 0))
        if self.wide:
            grid = Table.grid(padding=(0, 3, 0, 0), expand=True)
            grid.add_column(ratio=2)
            grid.add_column(ratio=5)
            grid.add_row(about, self._text(one.text))
            return Padding(grid, (0, 0, 1, 0))
        return Padding(Group(about, Padding(self._text(one.text), (0, 0, 0, 4))), (0, 0, 1, 0))

    def _about(self, one: Shown) -> Text:
        lines = []
        if one.entry.reason is not None:
            reason = self._marked(one.entry.reason, self.in_tags)
            lines.append(Text("rejected: ", style="red") + reason)
        for tag in one.entry.annotation.tags if one.entry.annotation else ():
            looked_at = self.in_tags if self.key in (None, tag.key) else None
            line = self._marked(str(tag), looked_at)
            colon = line.plain.index(":")
            line.stylize("cyan", 0, colon)
            line.stylize("yellow", colon + 1)
            lines.append(line)
        if one.entry.annotation is not None and not lines:
            lines.append(Text("(no tag)", style="dim"))
        if one.remark is not None:
            lines.append(Text(one.remark, style="bold red"))
        return Text("\n").join(lines)

    def _text(self, text: str) -> Text:
        start = 0
        if self.in_text and (match := self.in_text.search(text)):
            # The match is shown, with some of what stands before it.
            start = max(0, min(match.start() - self.max_chars // 4, len(text) - self.max_chars))
        end = start + self.max_chars
        shown = self._marked(text[start:end].strip("\n"), self.in_text)
        if start:
            shown = Text(f"({start:,} characters) ... ", style="dim italic") + shown
        if len(text) > end:
            shown.append(
                f" ... ({len(text) - end:,} more characters: --max-chars)", style="dim italic"
            )
        return shown

    def _marked(self, text: str, pattern: re.Pattern[str] | None) -> Text:
        marked, at = Text(), 0
        for match in pattern.finditer(text) if pattern else ():
            if match.start() == match.end():
                continue
            marked.append(printable(text[at : match.start()]))
            found = printable(match[0])
            marked.append(f"{_OPEN}{found}{_CLOSE}" if self.plain else found, style="reverse bold")
            at = match.end()
        return marked.append(printable(text[at:]))
