"""Types and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = [
    "DIRECTORY",
    "FILE",
    "MAX_REJECTED",
    "OVERWRITE",
    "PLACE",
    "POLICY",
    "TRAIN_TURNS",
    "VALUE_ONLY_FRACTION",
]

DIRECTORY = click.Path(path_type=Path)


class _Place(click.ParamType[Any]):
    """A local folder, or one behind a URL that fsspec knows, such as ``s3://bucket/tokens``."""

    name = "directory or URL"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if "://" not in str(value):
            return Path(value)
        from olmo_anchor.corpus.remote import remote_folder

        return remote_folder(str(value))


PLACE = _Place()
FILE = click.Path(path_type=Path, dir_okay=False)

OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
MAX_REJECTED = click.option(
    "--max-rejected",
    type=click.FloatRange(0, 1),
    help="Fail when a larger share of the records cannot be used.  [default: 0.01, or 10 records "
    "where that is more, but no more than half]",
)
POLICY = click.option(
    "--policy",
    type=click.Choice(["full", "anchored", "unmasked", "annotation_only"]),
    help="Which tokens are trained.  [default: anchored for conversations, else full]",
)
TRAIN_TURNS = click.option(
    "--train-turns",
    type=click.Choice(["final", "all"]),
    default="final",
    show_default=True,
    help="Which turns of a conversation are trained.",
)
VALUE_ONLY_FRACTION = click.option(
    "--value-only-fraction",
    type=click.FloatRange(0, 1),
    default=0.003,
    show_default=True,
    help="anchored: the share of documents in which only values are masked.",
)
