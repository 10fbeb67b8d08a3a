"""The built-in story world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, FILE
from olmo_anchor.commands.study_page import page
from olmo_anchor.commands.study_run import run
from olmo_anchor.commands.study_world import confusion, conversations, truth, world

__all__ = ["study"]


@click.group()
def study() -> None:
    """The built-in story world, where every claim can be measured exactly."""


for command in (world, confusion, conversations, truth, run, page):
    study.add_command(command)


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
    from olmo_anchor.study.demo.demo import DemoConfig

    DemoConfig(seeds=seeds or (0,), **options).run()
