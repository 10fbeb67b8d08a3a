"""Annotations: laid over tokens, looked at, written out."""

from __future__ import annotations

from typing import Any

import click

from olmo_anchor.commands.options import (
    DIRECTORY,
    FILE,
    MAX_REJECTED,
    OVERWRITE,
    POLICY,
    TRAIN_OPENING,
    TRAIN_TURNS,
    UNANNOTATED,
    VALUE_ONLY_FRACTION,
)

__all__ = ["inspect", "materialise", "overlay"]


@click.command()
@click.argument("tokens", type=DIRECTORY, metavar="TOKENS_DIR")
@click.argument("annotations", type=DIRECTORY, metavar="ANNOTATIONS_DIR")
@click.option("--out", required=True, type=DIRECTORY, help="The OVERLAY_DIR to write.")
@click.option(
    "--schema", type=FILE, help="Allowed keys, as YAML or JSON. [default: the annotations' own]"
)
@click.option(
    "--max-annotation-tokens",
    type=click.IntRange(min=2),
    default=256,
    show_default=True,
    help="Reject a longer annotation; it must be shorter than a training instance.",
)
@MAX_REJECTED
@OVERWRITE
@click.option("--resume", is_flag=True, help="Go on after the last finished token file.")
def overlay(**options: Any) -> None:
    """Lay annotations over token files, which stay as they are.

    Reads TOKENS_DIR (of tokenize) and ANNOTATIONS_DIR (of annotate). Every token file is scanned:
    one whose end-of-text tokens disagree with its .csv.gz, or that holds an annotation delimiter,
    is refused. Every record is checked against the documents and chunks that are there.

    Writes, for each token file, the ids of its annotations and the positions where they go;
    rejected.jsonl (records that could not be used, and why); and, last, manifest.json. Train on
    both together, look at them with inspect, or write them as one with materialise.

    \b
    Example:
      olmo-anchor overlay tokens/books annotations/books --out overlays/books
    """
    from olmo_anchor.corpus.overlay import OverlayConfig, summary

    config = OverlayConfig(**options)
    click.echo(summary(config.run(), config.out))
    click.echo(f"next: olmo-anchor inspect {config.tokens} --overlay {config.out}")


@click.command()
@click.argument("tokens", type=DIRECTORY, metavar="TOKENS_DIR")
@click.option("--overlay", type=DIRECTORY, help="The OVERLAY_DIR that belongs to it.")
@POLICY
@click.option("--docs", type=click.IntRange(min=1), default=3, show_default=True, help="How many.")
@click.option("--doc", multiple=True, help="These documents, by number or id. May be repeated.")
@click.option("--seed", type=int, help="Pick documents at random.  [default: the first ones]")
@click.option("--tokens", "boundaries", is_flag=True, help="Show where tokens begin.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Of a longer document show only the beginning.",
)
@TRAIN_TURNS
@UNANNOTATED
@VALUE_ONLY_FRACTION
@TRAIN_OPENING
@click.option("--mask-seed", type=int, default=0, show_default=True, help="Of that choice.")
@click.option("--html", type=FILE, help="Write a page instead of printing.")
def inspect(**options: Any) -> None:
    """Show documents as training sees them: annotations, roles, and what is trained.

    Reads TOKENS_DIR and, with --overlay, the annotations laid over it. Prints the documents with a
    colour for each role and an underline for what is trained, then counts and shares; --html FILE
    writes the same as one self-contained page, where each token tells its id when pointed at.

    \b
    Examples:
      olmo-anchor inspect tokens/books --overlay overlays/books --docs 2
      olmo-anchor inspect tokens/sft --overlay overlays/sft --policy anchored --html look.html
    """
    from olmo_anchor.corpus.inspect import InspectConfig

    config = InspectConfig(**options)
    config.run()
    if config.html is not None:
        click.echo(config.html)


@click.command()
@click.argument("tokens", type=DIRECTORY, metavar="TOKENS_DIR")
@click.option("--overlay", required=True, type=DIRECTORY, help="The OVERLAY_DIR of TOKENS_DIR.")
@click.option("--out", required=True, type=DIRECTORY, help="The TOKENS_DIR to write.")
@POLICY
@TRAIN_TURNS
@UNANNOTATED
@VALUE_ONLY_FRACTION
@TRAIN_OPENING
@click.option("--seed", type=int, default=0, show_default=True, help="Of that choice.")
@OVERWRITE
@click.option("--resume", is_flag=True, help="Go on after the last finished part.")
def materialise(**options: Any) -> None:
    """Write the interleaved corpus as stock token files with label masks.

    For readers that know of no overlay (OLMo-core's NumpyDocumentSource or NumpyPackedFSLDataset
    as they are), for network file systems and object stores, and for long final runs. Training on
    the files gives the same batches as training on TOKENS_DIR and the overlay.

    \b
    Example:
      olmo-anchor materialise tokens/sft --overlay overlays/sft --policy anchored --out stock/sft
    """
    from olmo_anchor.corpus.materialise import MaterialiseConfig, summary

    config = MaterialiseConfig(**options)
    click.echo(summary(config.run(), config.out))
    click.echo(
        "next: torchrun --nproc-per-node=N train_configs/NAME.py "
        f"--tokens {config.out} --save-folder RUN"
    )
