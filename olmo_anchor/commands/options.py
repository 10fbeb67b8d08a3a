"""Types and options that several commands share."""

from __future__ import annotations

from fractions import Fraction
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
    "TRAIN_OPENING",
    "TRAIN_TURNS",
    "UNANNOTATED",
    "VALUE_ONLY_FRACTION",
    "SeveralValues",
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


class SeveralValues(click.Command):
    """Its options that may be repeated take numbers in a row, too: ``--lr 1e-5 2e-5``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        repeated = {name for option in self.params if _repeats(option) for name in option.opts}
        words: list[str] = []
        option = None
        for word in args:
            if word in repeated:
                option = word
            elif option is not None and words[-1] != option:
                if _is_number(word):
                    words.append(option)
                else:
                    option = None
            words.append(word)
        return super().parse_args(ctx, words)


def _repeats(option: click.Parameter) -> bool:
    return isinstance(option, click.Option) and option.multiple


def _is_number(word: str) -> bool:
    try:
        Fraction(word)
    except (ValueError, ZeroDivisionError):
        return False
    return True


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
    type=click.Choice(["full", "anchored", "anchored_given", "unmasked", "annotation_only"]),
    help="Which tokens are trained.  [default: anchored for conversations, else full]",
)
TRAIN_TURNS = click.option(
    "--train-turns",
    type=click.Choice(["final", "all"]),
    default="final",
    show_default=True,
    help="Which turns of a conversation are trained.",
)
UNANNOTATED = click.option(
    "--unannotated",
    type=click.Choice(["leave_out", "train"]),
    default="leave_out",
    show_default=True,
    help="What becomes of conversations whose last response has no annotation.",
)
VALUE_ONLY_FRACTION = click.option(
    "--value-only-fraction",
    type=click.FloatRange(0, 1),
    default=0.003,
    show_default=True,
    help="anchored: the share of documents in which only values are masked.",
)
TRAIN_OPENING = click.option(
    "--train-opening",
    is_flag=True,
    help="Train the opening delimiter of every annotation, also where the policy masks it.",
)
