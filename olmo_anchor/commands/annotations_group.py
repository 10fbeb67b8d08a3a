"""Annotations that exist: counted, compared, read, and made alike."""

from __future__ import annotations

from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, FILE, OVERWRITE

__all__ = ["annotations_group"]

TOKENS = click.option(
    "--tokens",
    type=DIRECTORY,
    help="Where the TOKENS_DIR that was annotated lies.  [default: where it was]",
)


@click.group(name="annotations")
def annotations_group() -> None:
    """How good annotations are: count them, read them, make them alike."""


@annotations_group.command()
@click.argument("annotations", type=DIRECTORY, metavar="ANNOTATIONS_DIR")
@click.option(
    "--against", type=DIRECTORY, help="The ANNOTATIONS_DIR of another annotator: do they agree?"
)
@TOKENS
@click.option("--html", type=FILE, help="Write the same as a page, with plots.")
@click.option("--json", type=FILE, help="Write the numbers, with all histograms.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many of the most common values of a key to tell.",
)
def stats(**options: Any) -> None:
    """Count what annotations say, and how two annotators agree.

    Reads ANNOTATIONS_DIR (of annotate or normalise) and the tokenizer of its TOKENS_DIR. Prints
    tags per chunk, tokens per annotation and their share of all tokens, duplicates, and for each
    key how many chunks have it, its distinct values, their entropy and the most common ones.

    With --against, also what share of the chunks that both annotated have equal values, how far
    the values overlap, and Cohen's kappa of a key that has one value per chunk.

    \b
    Examples:
      olmo-anchor annotations stats annotations/books --html books.html
      olmo-anchor annotations stats annotations/books --against annotations/books-llm
    """
    from olmo_anchor.quality.stats import StatsConfig
    from olmo_anchor.quality.table import print_stats

    config = StatsConfig(**options)
    found = config.run()
    print_stats(found)
    for path in (config.html, config.json):
        if path is not None:
            click.echo(path)
    if any(key["alike"] for key in found["keys"].values()):
        click.echo(f"next: olmo-anchor annotations normalise {config.annotations} --dry-run")
    else:
        click.echo(f"next: olmo-anchor annotations show {config.annotations} --seed 0")


@annotations_group.command()
@click.argument("annotations", type=DIRECTORY, metavar="ANNOTATIONS_DIR")
@click.option("--grep", metavar="REGEX", help="Only chunks with a tag (key:value) that matches.")
@click.option("--ignore-case", "-i", is_flag=True, help="For --grep.")
@click.option(
    "--in",
    "within",
    type=click.Choice(["tags", "text", "either"]),
    default="tags",
    show_default=True,
    help="Where --grep looks.",
)
@click.option("--key", help="Only chunks that have this key; --grep looks at its tags alone.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="How many chunks."
)
@click.option("--seed", type=int, help="Pick them at random.  [default: the first ones]")
@click.option("--rejected", is_flag=True, help="Show chunks that were rejected, and why.")
@click.option(
    "--max-chars",
    type=click.IntRange(min=1),
    default=1500,
    show_default=True,
    help="Of a longer text show only so much.",
)
@TOKENS
def show(max_chars: int, **options: Any) -> None:
    """Read annotations beside the text that they are about.

    Reads ANNOTATIONS_DIR and its TOKENS_DIR, and prints chunks with their tags: side by side on a
    terminal of 100 columns or more, else one under the other. What --grep finds is marked. It says
    so when a text is not the one that was annotated.

    \b
    Examples:
      olmo-anchor annotations show annotations/books --seed 0
      olmo-anchor annotations show annotations/books --key entity --grep 'Anne? Bonn?y'
      olmo-anchor annotations show annotations/books --grep -i pirate --in text
      olmo-anchor annotations show annotations/books --rejected
    """
    from olmo_anchor.quality.show import ShowConfig
    from olmo_anchor.quality.show_terminal import print_shown

    config = ShowConfig(**options)
    shown, total, warning = config.pick()
    if warning:
        click.echo(f"Warning: {warning}", err=True)
    print_shown(shown, config, max_chars)
    what = "rejected chunks" if config.rejected else "annotated chunks"
    matching = f"{what} that match" if config.grep or config.key else what
    if not shown:
        click.echo(f"{config.annotations}: no {matching}")
    elif total is None:
        click.echo(f"the first {len(shown)} {matching}; --limit shows more, --seed others")
    else:
        click.echo(f"{len(shown)} of {total:,} {matching}")


@annotations_group.command()
@click.argument("annotations", type=DIRECTORY, metavar="ANNOTATIONS_DIR")
@click.option("--out", type=DIRECTORY, help="The ANNOTATIONS_DIR to write.")
@click.option(
    "--case",
    type=click.Choice(["lower", "keep"]),
    default="lower",
    show_default=True,
    help="lower: values in lower case, but for those of --keep-case.",
)
@click.option(
    "--keep-case",
    multiple=True,
    metavar="KEY",
    help="A key whose values keep their case; repeat for more.  [default: entity, language, "
    "location, name]",
)
@click.option(
    "--unicode",
    type=click.Choice(["NFKC", "NFC", "keep"]),
    default="NFKC",
    show_default=True,
    help="Normal form; NFKC also writes ligatures, full-width and raised characters as plain ones.",
)
@click.option("--synonyms", type=FILE, help="YAML: for each key, values and their variants.")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@OVERWRITE
def normalise(dry_run: bool, keep_case: tuple[str, ...], **options: Any) -> None:
    """Write annotations again, with one spelling for each value.

    Reads ANNOTATIONS_DIR, which stays as it is. Every value gets one Unicode form, single spaces
    and lower case, then its synonym; a tag that its annotation has already is dropped; a value that
    the schema would then refuse stays as it was, and is counted. Writes the same files of records
    and, last, a manifest.json with the rules. A file of synonyms says what stands for what:

    \b
      topic:
        film: [movie, motion picture]
      entity:
        United States: [USA, U.S.]

    \b
    Examples:
      olmo-anchor annotations normalise annotations/books --synonyms synonyms.yaml --dry-run
      olmo-anchor annotations normalise annotations/books --synonyms synonyms.yaml --out clean
    """
    from olmo_anchor.quality.normalise import NormaliseConfig, summary
    from olmo_anchor.quality.rules import PROPER_NAMES

    config = NormaliseConfig(keep_case=keep_case or PROPER_NAMES, **options)
    if dry_run:
        click.echo(summary(config.look()))
        click.echo("nothing was written")
        return
    if config.out is None:
        raise click.UsageError("--out DIR says where the annotations go; or look with --dry-run")
    click.echo(f"{config.out}: {summary(config.run())}")
    tokens = config.tokens_folder() or "TOKENS_DIR"
    click.echo(f"next: olmo-anchor overlay {tokens} {config.out} --out OVERLAY_DIR")
