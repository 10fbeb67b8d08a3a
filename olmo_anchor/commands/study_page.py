"""``olmo-anchor study page``."""

from __future__ import annotations

from pathlib import Path

import click

from olmo_anchor.commands.options import DIRECTORY

__all__ = ["page"]


@click.command()
@click.argument("out", type=DIRECTORY, metavar="OUT")
def page(out: Path) -> None:
    """Collect what the arms of a study say, and print it.

    Reads OUT/seed-N as study run leaves it, also while that goes on: arms that are not finished are
    named, with the reason. Writes OUT/study.json (each measure of each arm at each seed, with mean
    and, from three seeds on, Student's 95 % interval) and OUT/study.csv.

    \b
    Example:
      olmo-anchor study page runs/study
    """
    from olmo_anchor.study.findings.write import FindingsConfig

    FindingsConfig(out).run()
