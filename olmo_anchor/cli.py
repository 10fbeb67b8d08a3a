"""The commands. Each parses its options, imports one module and calls it: no logic here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

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


@cli.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--tokenizer", required=True, help="A tokenizer.json, a folder that holds one, or a hub id."
)
@click.option("--out", required=True, type=DIRECTORY, help="The TOKENS_DIR to write.")
@click.option("--chat", is_flag=True, help="The inputs are conversations, not documents.")
@click.option(
    "--train-turns",
    type=click.Choice(["final", "all"]),
    default="final",
    show_default=True,
    help="With --chat: which assistant turns are targets. An anchored run wants final, as only the "
    "last turn has an annotation.",
)
@click.option(
    "--max-length",
    type=click.IntRange(min=2),
    help="With --chat: cut conversations to so many tokens. Annotations, which come later, do not "
    "count: leave room for them in the sequence length.",
)
@click.option(
    "--part-tokens",
    type=click.IntRange(min=1),
    help="Begin a new part after so many tokens. [default: as many as fill 1 GiB]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that encode, one core each. With 1, `tokenizers` uses all cores by itself.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N records.")
@click.option(
    "--shuffle-seed", type=int, help="Shuffle the records, which are then held in memory."
)
@click.option(
    "--max-rejected",
    type=click.FloatRange(0, 1),
    help="Fail when a larger share of the records cannot be used. "
    "[default: 0.01, or 10 records where that is more]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
@click.option("--resume", is_flag=True, help="Go on after the last finished part.")
@click.option("--dry-run", is_flag=True, help="Check the inputs, say what would be done, stop.")
def tokenize(inputs: tuple[Path, ...], out: Path, dry_run: bool, **options: Any) -> None:
    """Turn documents or conversations into the token files that OLMo-core trains on.

    Reads JSONL, also .gz and .zst: documents {"id", "text"}, or with --chat conversations
    {"id", "messages": [{"role", "content"}, ...]} with the roles system, user and assistant, which
    end with the assistant. A record without an id is named FILE/LINE.

    Writes token_ids_part_XXXX.npy (ids without a header, one end-of-text after each document),
    token_ids_part_XXXX.csv.gz (start,end,id per document), with --chat labels_mask_part_XXXX.npy
    (one bool per token, True = trained), rejected.jsonl (what could not be used, and why),
    tokenizer/ and, last, manifest.json. No annotations: those come with annotate and overlay.

    \b
    Examples:
      olmo-anchor tokenize books.jsonl.gz --tokenizer allenai/dolma2-tokenizer --out tokens/books
      olmo-anchor tokenize sft.jsonl --chat --max-length 4096 \\
          --tokenizer tokens/books/tokenizer --out tokens/sft
    """
    from olmo_anchor.corpus.tokenize import TokenizeConfig, summary

    config = TokenizeConfig(inputs, out=out, **options)
    click.echo("\n".join(config.plan()) if dry_run else summary(config.run(), out))


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
