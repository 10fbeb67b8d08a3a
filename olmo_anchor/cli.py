"""``olmo-anchor``: the commands of ``commands/`` as one program."""

from __future__ import annotations

import os
import sys

import click

from olmo_anchor.commands.annotate import annotate
from olmo_anchor.commands.annotations import inspect, materialise, overlay
from olmo_anchor.commands.annotations_group import annotations_group
from olmo_anchor.commands.chat import chat
from olmo_anchor.commands.generate import generate
from olmo_anchor.commands.models import export
from olmo_anchor.commands.results import evaluate, report
from olmo_anchor.commands.serve import serve
from olmo_anchor.commands.study import study
from olmo_anchor.commands.tokens import adopt, tokenize
from olmo_anchor.commands.train import moved, sweep
from olmo_anchor.errors import AnchorError

__all__ = ["cli", "main"]

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="olmo-anchor")
def cli() -> None:
    """Annotation-anchored training on OLMo-core: post-train a model without narrowing what it says.

    The stages, in order: tokenize (or adopt), annotate, overlay, (inspect), train with torchrun
    train_configs/NAME.py, export, generate (or chat), evaluate, report.
    """


for command in (
    *(tokenize, adopt, annotate, overlay, inspect, materialise),
    *(annotations_group, sweep, moved, export, generate, evaluate, report, serve, chat, study),
):
    cli.add_command(command)


def main() -> None:
    """Exit codes: 0 done, 1 the work failed, 2 the call or the input is wrong."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AnchorError as error:
        if os.environ.get("OLMO_ANCHOR_TRACEBACK"):
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        # Evaluation is installed without what trains.
        library = str(error.name).partition(".")[0]
        if library not in ("olmo_core", "torch"):
            raise
        click.echo(f"Error: this needs {library}: pip install 'olmo-anchor[train]'", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
