"""Types and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["DIRECTORY", "FILE", "MAX_REJECTED"]

DIRECTORY = click.Path(path_type=Path)
MAX_REJECTED = click.option(
    "--max-rejected",
    type=click.FloatRange(0, 1),
    help="Fail when a larger share of the records cannot be used.  [default: 0.01, or 10 records "
    "where that is more, but no more than half]",
)
FILE = click.Path(path_type=Path, dir_okay=False)
