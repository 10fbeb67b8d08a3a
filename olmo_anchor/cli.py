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


@cli.command()
@click.argument("model", type=DIRECTORY)
@click.option("--prompts", required=True, type=FILE, help="JSONL: id, and prompt or messages.")
@click.option("--out", required=True, type=FILE, help="The generations file to write (JSONL).")
@click.option(
    "--engine",
    type=click.Choice(["hf", "vllm"]),
    help="What runs the model.  [default: vllm where it is installed, else hf]",
)
@click.option("--num-samples", default=10, show_default=True, help="Samples of each prompt.")
@click.option("--temperature", default=1.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", default=1.0, show_default=True, help="Nucleus sampling; 1 is all.")
@click.option("--max-tokens", default=512, show_default=True, help="Annotation and response.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--annotation",
    type=click.Choice(["sample", "skip"]),
    default="sample",
    show_default=True,
    help="sample: the model writes its annotation, or none, as it will. skip: it is kept from it.",
)
@click.option("--stop", multiple=True, help="Cut a response before this text. May be repeated.")
@click.option("--batch-size", type=int, help="Samples at a time; has no influence on them.")
@click.option(
    "--max-rejected",
    default=0.01,
    show_default=True,
    help="The share of prompts that may be unusable.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT.")
@click.option("--resume", is_flag=True, help="Make what is missing of OUT.")
def generate(**options: Any) -> None:
    """Sample responses of MODEL, an exported model folder.

    Reads prompts as JSONL, either raw text that is continued or messages that the chat template is
    applied to, with an optional beginning of the response:

    \b
      {"id": "a", "prompt": "A story about pirates.", "prefill": "Once upon a time"}
      {"id": "b", "messages": [{"role": "user", "content": "Tell me a story."}]}

    Writes one line per sample, annotation and response apart, to OUT; the manifest beside it is
    written last. A sample is the same for the same seed, whatever is sampled beside it.

    \b
      olmo-anchor generate runs/sft/hf --prompts prompts.jsonl --out runs/sft/generations.jsonl
    """
    from olmo_anchor.generation.generate import GenerateConfig

    done = GenerateConfig(**options).run()
    counts = done.counts
    click.echo(
        f"{options['out']}: {counts['samples']} samples of {counts['prompts']} prompts, "
        f"{counts['no_annotation']} without annotation, {counts['unclosed']} unclosed, "
        f"{counts['rejected']} prompts rejected"
    )


@cli.command()
@click.option(
    "--suite", required=True, type=FILE, help="What is judged and compared: evals/*.yaml."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="NAME=FILE|DIR",
    help="A generations file, or a folder that holds generations.jsonl. Repeat for each model.",
)
@click.option("--out", required=True, type=DIRECTORY, help="The folder to write.")
@click.option(
    "--engine",
    type=click.Choice(["hf", "vllm"]),
    default="hf",
    show_default=True,
    help="Scores the prior of the models that the suite names.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
def evaluate(models: tuple[str, ...], **options: Any) -> None:
    """Judge and score generations, and compare the models that made them.

    Reads generations files as generate writes them. Writes scores.jsonl (labels of every response),
    summary.json (per model: entropy with a 95 % interval, valid, style, annotation and request
    followed; share of the gap closed; prior KL) and, last, manifest.json.

    \b
    Example:
      olmo-anchor evaluate --suite evals/story_world.yaml \\
          --model sft_standard=a.jsonl --model sft_anchored=b.jsonl --out runs/compared
    """
    from olmo_anchor.evaluation.evaluate import EvaluateConfig, parse_models

    EvaluateConfig(models=parse_models(models), **options).run()
    click.echo(f"{options['out']}: summary.json. Look at it with: olmo-anchor report")


@cli.group()
def study() -> None:
    """The built-in story world, where every claim can be measured exactly."""


@study.command()
@click.option("--out", required=True, type=DIRECTORY, help="The folder to write.")
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal files.")
@click.option("--documents", type=click.IntRange(min=1), help="Pretraining documents.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
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

    config = WorldConfig(seed=seed, **({"documents": documents} if documents else {}))
    counts = write_world(out, config, overwrite=overwrite).counts
    click.echo(f"{out}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=DIRECTORY, metavar="DIR...")
@click.option("--out", required=True, type=FILE, help="The HTML page to write.")
def report(folders: tuple[Path, ...], out: Path) -> None:
    """Build one self-contained HTML page from summaries, and print its table.

    Reads DIR/summary.json of each DIR, as evaluate writes it. The page opens without a network:
    verdict first, then table, figures, example answers side by side, provenance.

    \b
    Example:
      olmo-anchor report runs/demo/seed-0 runs/demo/seed-1 --out runs/demo/report.html
    """
    from olmo_anchor.report.page import write_report

    write_report(list(folders), out)


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
