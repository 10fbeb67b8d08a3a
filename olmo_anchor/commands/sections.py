"""Options of a command under titles in its ``--help``, for commands with many."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

__all__ = ["SectionedCommand", "options_of"]

_OTHERS = "Other options"

Command = Callable[..., Any]


class _SectionOption(click.Option):
    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


def options_of(section: str) -> Callable[..., Callable[[Command], Command]]:
    """``click.option`` for options that ``--help`` shows under the title ``section``."""
    return partial(click.option, cls=_SectionOption, section=section)


class SectionedCommand(click.Command):
    """Sections stand in the order of their first options, what belongs to none comes last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        others = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None or isinstance(param, click.Argument):
                continue
            if isinstance(param, _SectionOption):
                sections.setdefault(param.section, []).append(record)
            else:
                others.append(record)
        for title, records in {**sections, _OTHERS: others}.items():
            with formatter.section(title):
                formatter.write_dl(records)
