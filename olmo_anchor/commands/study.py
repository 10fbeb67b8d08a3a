"""The built-in story world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, FILE, OVERWRITE

__all__ = ["study"]


@click.group()
def study() -> None:
    """The built-in story world, where every claim can be measured exactly."""


@study.command()
@click.option("--out", required=True, type=DIRECTORY, help="The folder to write.")
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal files.")
@click.option("--documents", type=click.IntRange(min=1), help="Pretraining documents.")
@OVERWRITE
def world(out: Path, seed: int, documents: int | None, overwrite: bool) -> None:
    """Write the story world: a corpus of short stories about 48 topics, and the truth about them.

    Writes documents.jsonl and conversations.jsonl (for tokenize), truth.jsonl and
    conversations_truth.jsonl (for annotate --annotator oracle), prompts_base.jsonl and
    prompts_chat.jsonl (for generate), tokenizer.json and, last, manifest.json.

    \b
    Example:
      olmo-anchor study world --out runs/world --seed 0
    """
    from olmo_anchor.study.files import write_world
    from olmo_anchor.study.world import WorldConfig

    config = WorldConfig(seed=seed)
    if documents is not None:
        config = replace(config, documents=documents)
    counts = write_world(out, config, overwrite=overwrite).counts
    click.echo(f"{out}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    click.echo(
        f"next: olmo-anchor tokenize {out / 'documents.jsonl'} "
        f"--tokenizer {out / 'tokenizer.json'} --out TOKENS_DIR"
    )


@study.command()
@click.option(
    "--out", type=DIRECTORY, default=Path("runs/demo"), show_default=True, help="Where it all goes."
)
@click.option("--seed", "seeds", type=int, multiple=True, help="Repeat for more.  [default: 0]")
@click.option(
    "--engine",
    type=click.Choice(["hf", "vllm"]),
    default="hf",
    show_default=True,
    help="What samples: transformers, or vLLM (make install-vllm).",
)
@click.option("--documents", type=click.IntRange(min=1), help="A smaller world, for a quick look.")
@click.option("--corpus", type=FILE, help="Your own documents (JSONL) in the place of the world.")
@click.option("--sft", type=FILE, help="Your own conversations (JSONL); needs --corpus.")
@click.option(
    "--tokenizer",
    default="allenai/dolma2-tokenizer",
    show_default=True,
    help="With --corpus: a tokenizer.json, a folder or a hub id.",
)
def demo(seeds: tuple[int, ...], **options: Any) -> None:
    """Run the whole comparison: four arms of the story world, from nothing to a report.

    World, tokenize, annotate, overlay, two bases, two SFTs, export, generate, evaluate, report: the
    same commands that you would type, with their output in OUT/seed-N/logs. Run again, it goes on
    from where it stopped. Writes OUT/seed-N/summary.json and OUT/report.html.

    \b
    Example:
      olmo-anchor study demo --out runs/demo --seed 0 --seed 1
      olmo-anchor study demo --corpus docs.jsonl --sft chats.jsonl --tokenizer tokenizer.json
    """
    from olmo_anchor.study.demo import DemoConfig

    DemoConfig(seeds=seeds or (0,), **options).run()
