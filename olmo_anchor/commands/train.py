"""Training, as far as it is not a recipe's own command."""

from __future__ import annotations

import math
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, POLICY, SeveralValues

__all__ = ["moved", "sweep"]


class _Share(click.ParamType[Fraction]):
    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> Fraction:
        try:
            share = Fraction(value)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is no share such as 1/64 or .5", param, ctx)
        if not 0 < share <= 1:
            self.fail(f"{value} is not above 0 and up to 1", param, ctx)
        return share


@click.command(cls=SeveralValues, context_settings={"ignore_unknown_options": True})
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    *("--lr", "lr"),
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    help="Peak learning rates: --lr 1e-5 2e-5 5e-5.",
)
@click.option(
    "--share", type=_Share(), multiple=True, help="Shares of the data: --share 1/64 1/8 1."
)
@click.option("--tokens", required=True, help="As the recipe's.")
@click.option("--overlay", help="As the recipe's.")
@click.option("--load-path", help="As the recipe's.")
@click.option("--out", required=True, type=DIRECTORY, help="A folder for all runs and the result.")
@click.option("--seed", default=0, show_default=True, help="Of every run.")
@click.option("--nproc", default=1, show_default=True, help="Processes of each run (torchrun).")
@click.option("--print", "only_print", is_flag=True, help="Print the commands, for a scheduler.")
@click.option("--collect", is_flag=True, help="Train nothing: read the runs that a scheduler made.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def sweep(only_print: bool, collect: bool, **options: Any) -> None:
    """Train RECIPE once for each value, and choose by held-out loss.

    The candidates are trained one after the other, each in a folder of OUT; the same command run
    again goes on where it was. What is held out is decided by a hash of the conversation's id, the
    same in every run. Ends with OUT/sweep.json: each run's held-out loss, the drift of its
    annotation values, and the best of each share. A --name.of.field=value goes to the recipe.

    \b
    Examples:
      olmo-anchor sweep train_configs/sft_1b_anchored.py --lr 1e-5 2e-5 5e-5 --nproc 8 \\
          --tokens data/tulu3/tokens --overlay data/tulu3/overlay --load-path runs/1b-annotated \\
          --out runs/sweep
      olmo-anchor sweep train_configs/sft_1b_anchored.py --share 1/64 1/16 1/4 1 ...
    """
    from olmo_anchor.training.sweep import SweepConfig, best

    config = SweepConfig(**options)
    if only_print:
        for candidate in config.candidates():
            click.echo(shlex.join(candidate.command))
        return
    results = config.run(collect=collect)
    click.echo(
        f"{'run':24} {'steps':>7} {'held-out loss':>14} {'perplexity':>11} {'value drift':>12}"
    )
    for result in results:
        loss = result.held_out_loss
        drift = "-" if result.value_drift is None else f"{result.value_drift:+.4f}"
        perplexity = math.exp(loss) if loss < 700 else math.inf
        click.echo(
            f"{result.name:24} {result.steps:7,} {loss:14.4f} {perplexity:11.4g} {drift:>12}"
        )
    for winner in best(results):
        click.echo(f"best{f' of share {winner.share:g}' if winner.share else ''}: {winner.folder}")


@click.command()
@click.argument("before", type=DIRECTORY)
@click.argument("after", type=DIRECTORY)
@click.option(
    *("--tokens", "tokens"), required=True, type=DIRECTORY, help="What was trained in between."
)
@click.option("--overlay", type=DIRECTORY, help="Its OVERLAY_DIR, where annotations were laid in.")
@POLICY
def moved(before: Path, after: Path, policy: str | None, **folders: Any) -> None:
    """Show where the weights moved from one checkpoint to another.

    Reads two runs, or stepN folders of runs, and the data that was trained from BEFORE to AFTER.
    Prints the root mean square of the change, by part of the model; of the embedding and the output
    layer by what a row's word is to the data: a target, only read, or absent. Words that no
    response says are moved too, and with them what an annotation says: see docs/drift.md.

    \b
    Example:
      olmo-anchor moved runs/base runs/sft --tokens data/chat --overlay data/chat-overlay
    """
    from olmo_anchor.corpus.materialise import default_policy
    from olmo_anchor.corpus.tokens import TokensDir
    from olmo_anchor.policy import MaskPolicy
    from olmo_anchor.training.moved import where_moved

    chosen = MaskPolicy(policy) if policy else default_policy(TokensDir.open(folders["tokens"]))
    click.echo(f"{'part':28} {'tokens':>7} {'parameters':>13} {'change':>10} {'of size':>8}")
    for part in where_moved(before, after, **folders, policy=chosen):
        tokens = "" if part.tokens is None else f"{part.tokens:,}"
        share = f"{part.change / part.size:.2%}" if part.size else "-"
        click.echo(
            f"{part.part:28} {tokens:>7} {part.parameters:13,} {part.change:10.2e} {share:>8}"
        )
