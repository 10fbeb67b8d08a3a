"""The commands. Each parses its options, imports one module and calls it: no logic here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from olmo_anchor.errors import AnchorError

__all__ = ["cli", "main"]

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
DIRECTORY = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="olmo-anchor")
def cli() -> None:
    """Annotation-anchored training on OLMo-core: post-train a model without narrowing what it says.

    The stages, in order: tokenize, annotate, overlay, (inspect), train with torchrun
    train_configs/NAME.py, export, generate, evaluate, report.
    """


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


if __name__ == "__main__":
    main()
