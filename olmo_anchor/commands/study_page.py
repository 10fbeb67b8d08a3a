"""``olmo-anchor study page``."""

from __future__ import annotations

from pathlib import Path

import click

from olmo_anchor.commands.options import DIRECTORY, FILE

__all__ = ["page"]


@click.command()
@click.argument("out", type=DIRECTORY, metavar="OUT")
@click.option("--html", type=FILE, help="The page.  [default: OUT/study.html]")
@click.option(
    "--docs", type=FILE, help="A Markdown file whose blocks are filled in: docs/study.md."
)
@click.option("--name", default="", help="With --docs: the study whose blocks these are, if named.")
def page(out: Path, html: Path | None, docs: Path | None, name: str) -> None:
    """Collect what the arms of a study say, weigh the claims, and write the page.

    Reads OUT/seed-N as study run leaves it, also while that goes on: arms that are not finished are
    named, with the reason. Writes OUT/study.json (each measure of each arm at each seed, with mean
    and, from three seeds on, Student's 95 % interval), OUT/study.csv and the page, which opens
    without a network. With --docs it also fills in the blocks between <!-- study:NAME --> and
    <!-- /study:NAME -->, and writes study/results.json and the figures beside that file. Blocks of
    another study are left as they are: with --name gpu those of <!-- study:gpu/NAME --> are filled.

    \b
    Example:
      olmo-anchor study page runs/study
      olmo-anchor study page runs/study --docs docs/study.md
      olmo-anchor study page runs/study-gpu --docs docs/study.md --name gpu
    """
    from olmo_anchor.study.findings.write import FindingsConfig

    FindingsConfig(out, html, docs, name).run()
