"""The story world's files: the world, conversations of it, annotations from its labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from olmo_anchor.commands.options import DIRECTORY, FILE, OVERWRITE
from olmo_anchor.errors import InputError

__all__ = ["confusion", "conversations", "truth", "world"]

_SEED = click.option("--seed", default=0, show_default=True, help="Equal seeds give equal files.")
_SHARE = click.FloatRange(0, 1)


@click.command()
@click.option("--out", required=True, type=DIRECTORY, help="The folder to write.")
@click.option(
    "--world", "file", type=FILE, help="A world of your own, as YAML.  [default: the built-in one]"
)
@click.option(
    "--simplestories",
    metavar="FILE|FOLDER|HUB_ID",
    help="Stories of this data set in the world's place: Parquet, or SimpleStories/SimpleStories.",
)
@_SEED
@click.option("--documents", type=click.IntRange(min=1), help="Pretraining documents.")
@click.option(
    "--held-back",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="With --simplestories: the share of the stories kept for SFT data.  [default: 0.5]",
)
@click.option(
    "--tokenizer",
    help="With --simplestories: a tokenizer.json, a folder or a hub id to put beside the corpus.",
)
@OVERWRITE
def world(
    out: Path,
    file: Path | None,
    simplestories: str | None,
    seed: int,
    documents: int | None,
    held_back: float | None,
    tokenizer: str | None,
    overwrite: bool,
) -> None:
    """Write the story world: a corpus of short stories about 48 topics, and the truth about them.

    Writes documents.jsonl and conversations.jsonl (for tokenize), labels.jsonl (for study truth),
    truth.jsonl and conversations_truth.jsonl (for annotate --annotator oracle), prompts_base.jsonl
    and prompts_chat.jsonl (for generate), tokenizer.json and, last, manifest.json. Another world,
    with attributes, values and sentences of your own, is a YAML file; the stories of SimpleStories
    can take the place of the world's (docs/world.md).

    \b
    Example:
      olmo-anchor study world --out runs/world --seed 0
      olmo-anchor study world --world weather.yaml --out runs/weather
      olmo-anchor study world --simplestories SimpleStories/SimpleStories --out runs/simple \\
          --tokenizer allenai/dolma2-tokenizer
    """
    if simplestories is None:
        if tokenizer is not None or held_back is not None:
            raise InputError("--tokenizer and --held-back belong to --simplestories")
        counts = _told(out, file, seed, documents, overwrite)
    elif file is not None:
        raise InputError("--world and --simplestories: a world is made from one of them")
    else:
        from olmo_anchor.study.world.simplestories import HELD_BACK, write_simplestories

        counts = write_simplestories(
            out,
            simplestories,
            seed,
            documents,
            held_back=held_back or HELD_BACK,
            tokenizer=tokenizer,
            overwrite=overwrite,
        ).counts
    click.echo(f"{out}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    beside = (out / "tokenizer.json").is_file()
    click.echo(
        f"next: olmo-anchor tokenize {out / 'documents.jsonl'} "
        f"--tokenizer {out / 'tokenizer.json' if beside else 'TOKENIZER'} --out TOKENS_DIR"
    )


def _told(
    out: Path, file: Path | None, seed: int, documents: int | None, overwrite: bool
) -> Mapping[str, int]:
    from olmo_anchor.study.world.read import built_in, read_world
    from olmo_anchor.study.world.write import write_world

    told = built_in() if file is None else read_world(file)
    if not told.story:
        raise InputError(f"{file}: has no sentences of its own; see --simplestories")
    return write_world(out, told, seed, documents, source=file, overwrite=overwrite).counts


@click.command()
@click.argument("world", type=DIRECTORY)
@click.option("--out", required=True, type=DIRECTORY, help="The folder to write.")
@_SEED
@click.option(
    "--conversations", "count", type=click.IntRange(min=1), help="How many.  [default: 1600]"
)
@click.option(
    "--only",
    multiple=True,
    metavar="ATTRIBUTE=SUBSET|VALUE,...|all",
    help="The values that an attribute has: a subset that the world names, a list, or all. May be "
    "repeated.  [default: topic=5 and persona=1]",
)
@OVERWRITE
def conversations(
    world: Path, out: Path, seed: int, count: int | None, only: tuple[str, ...], overwrite: bool
) -> None:
    """Write SFT data of a world with an attribute restricted to a few of its values.

    Writes conversations.jsonl (for tokenize --chat --layout plain), labels.jsonl (for study truth)
    and manifest.json, with the entropy of each attribute in bits. Data of one seed with other
    values of one attribute are the same in all others.

    \b
    Example:
      olmo-anchor study conversations runs/world --out runs/topics_14 --only topic=14
      olmo-anchor study conversations runs/world --out runs/two --only "topic=pirates,the sky"
    """
    from olmo_anchor.study.world.sft import write_conversations
    from olmo_anchor.study.world.write import CONVERSATIONS

    manifest = write_conversations(
        world, out, seed, only, count or CONVERSATIONS, overwrite=overwrite
    )
    bits = ", ".join(f"{name} {n:.2f}" for name, n in manifest.extra["entropy_bits"].items())
    click.echo(f"{out}: {manifest.counts['conversations']:,} conversations; entropy, bits: {bits}")
    click.echo(
        f"next: olmo-anchor study truth {out / 'labels.jsonl'} --world {world} "
        f"--out {out / 'truth.jsonl'}"
    )


@click.command()
@click.argument("labels", type=FILE)
@click.option("--world", required=True, type=DIRECTORY, help="The world that they are of.")
@click.option("--out", required=True, type=FILE, help="The annotations, as JSONL.")
@click.option("--attributes", help="What is annotated, in order.  [default: as the world says]")
@click.option(
    "--wrong",
    type=_SHARE,
    default=0.0,
    show_default=True,
    help="The share of the tags that have another value of their attribute.",
)
@click.option(
    "--among",
    type=click.Choice(["world", "labels"]),
    default="world",
    show_default=True,
    help="The values that wrong tags have: all of the world's, or those that stand in LABELS.",
)
@click.option(
    "--without",
    type=_SHARE,
    default=0.0,
    show_default=True,
    help="The share of the documents that have no annotation.",
)
@click.option("--seed", default=0, show_default=True, help="Which tags and documents those are.")
def truth(
    labels: Path,
    world: Path,
    out: Path,
    attributes: str | None,
    wrong: float,
    among: str,
    without: float,
    seed: int,
) -> None:
    """Make annotations from a labels.jsonl of a world: the truth, or with a share of it wrong.

    Writes a file for annotate --annotator oracle. What is wrong or missing at one share is so at
    every larger one.

    \b
    Example:
      olmo-anchor study truth runs/world/labels.jsonl --world runs/world --out truth.jsonl \\
          --attributes topic,name,persona --wrong 0.3
    """
    from olmo_anchor.study.world.read import world_of
    from olmo_anchor.study.world.truth import (
        LabelNoise,
        read_labels,
        truth_records,
        values_among,
    )
    from olmo_anchor.study.world.write import write_lines

    told = world_of(world)
    named = told.annotated
    if attributes is not None:
        named = tuple(name.strip() for name in attributes.split(","))
    if len(set(named)) < len(named):
        raise InputError(f"--attributes {attributes}: an attribute stands there twice")
    if unknown := [name for name in named if name not in told.attributes]:
        known = ", ".join(told.attributes)
        raise InputError(f"{world}: has no attribute {unknown[0]!r}; it has {known}")
    noise = LabelNoise(seed, wrong, without)
    values = told.values
    if among == "labels":
        values = values_among(read_labels(labels), values)
    count = write_lines(out, truth_records(read_labels(labels), named, values, noise))
    click.echo(f"{out}: {count:,} annotations")
    click.echo(
        f"next: olmo-anchor annotate TOKENS_DIR --annotator oracle --annotations {out} "
        f"--schema {world / 'schema.json'} --out ANNOTATIONS_DIR"
    )


@click.command()
@click.argument("world", type=DIRECTORY)
@click.option("--documents", type=click.IntRange(min=1), help="Only of the first so many.")
@_SEED
@click.option("--out", type=FILE, help="Every label that was read as another, as JSON.")
def confusion(world: Path, documents: int | None, seed: int, out: Path | None) -> None:
    """Say how well the exact classifier reads a world's labels back from its stories.

    Prints the share of the stories whose label is read, for each attribute: as they are, and with
    some of their words replaced by other words of the world, as a model might write them; in
    brackets the share that is read as another value. The others are not told: a story that says two
    things has no label.

    \b
    Example:
      olmo-anchor study confusion runs/world --documents 2000
    """
    from olmo_anchor.manifest import write_json
    from olmo_anchor.study.world.confusion import SHARES, confuse, labelled_stories
    from olmo_anchor.study.world.read import world_of

    told = world_of(world)
    stories = list(labelled_stories(world, documents))
    if not stories:
        raise InputError(f"{world}: has no story")
    found = [confuse(told, stories, share, seed) for share in SHARES]
    click.echo(f"{len(stories):,} stories; words replaced:")
    width = max(len(name) for name in (*told.attributes, "attribute"))
    click.echo(f"{'':{width}}" + "".join(f"{share:>16.0%}" for share in SHARES))
    for name in (*told.attributes, "styled"):
        shares = (f"{one.recall(name):.2%} ({one.misread(name):.2%})" for one in found)
        click.echo(f"{name:{width}}" + "".join(f"{text:>16}" for text in shares))
    click.echo(f"{'valid':{width}}" + "".join(f"{one.valid / one.stories:>16.2%}" for one in found))
    for one in found:
        for (name, label, read), count in one.wrong.most_common(3):
            where = f"at {one.share:.0%}, {name}"
            click.echo(f"{where}: {label!r} read as {read!r} in {count} of {one.stories:,}")
    if out is not None:
        write_json(out, [one.record() for one in found])
        click.echo(f"{out}: every label that was read as another")
