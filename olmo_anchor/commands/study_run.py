"""``olmo-anchor study run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, FILE

__all__ = ["run"]


def _seeds(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> Any:
    """``("0,1", "2")`` as ``(0, 1, 2)``; of one that stands twice, the first."""
    words = [word for one in given for word in one.split(",")] or ["0"]
    try:
        return tuple(dict.fromkeys(int(word) for word in words))
    except ValueError:
        raise click.BadParameter(f"{','.join(words)!r} are no seeds such as 0,1,2") from None


@click.command()
@click.option(
    *("--out",),
    type=DIRECTORY,
    default=Path("runs/study"),
    show_default=True,
    help="Where it all goes.",
)
@click.option(
    "--seed",
    "--seeds",
    "seeds",
    multiple=True,
    metavar="N[,N...]",
    callback=_seeds,
    help="One or several; may be repeated.  [default: 0]",
)
@click.option(
    "--arms",
    multiple=True,
    metavar="GROUP|GLOB",
    help="Only these and what they need: a group such as lr, or arms such as 'lr/*_0.001'. May be "
    "repeated.  [default: all]",
)
@click.option(
    "--grid", type=FILE, help="What is trained and compared.  [default: train_configs/study.yaml]"
)
@click.option(
    "--dry-run", is_flag=True, help="List arms and stages, what is done, and the time left."
)
@click.option(
    "--parallel",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Stages at a time, of one thread each.",
)
@click.option(
    "--engine",
    type=click.Choice(["hf", "vllm"]),
    default="hf",
    show_default=True,
    help="What samples: transformers, or vLLM (make install-vllm).",
)
@click.option("--documents", type=click.IntRange(min=1), help="A smaller or larger world.")
@click.option(
    "--stop-after",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Then stop; the same call goes on.",
)
def run(dry_run: bool, seeds: tuple[int, ...], grid: Path | None, **options: Any) -> None:
    """Run the study: every arm of a grid of bases, SFT data and methods, seed after seed.

    Each stage is a command that you could type, with its output in OUT/seed-N/logs. Run again, it
    goes on from where it stopped; more --seed or --arms add to what is there, and an arm whose
    definition changed runs again, with what depends on it. An arm that fails stops no other.
    Ends with the page of what was found (olmo-anchor study page OUT).

    \b
    Examples:
      olmo-anchor study run --out runs/study --seeds 0,1,2
      olmo-anchor study run --out runs/study --arms main --arms 'lr/*' --dry-run
    """
    from olmo_anchor.study.grid.run import GRID, StudyConfig

    config = StudyConfig(seeds=seeds, grid=grid or GRID, **options)
    if dry_run:
        click.echo(config.plan())
    else:
        config.run()
