"""The commands. Each parses its options, imports one module and calls it: no logic here."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from olmo_anchor.errors import AnchorError

__all__ = ["cli", "main"]

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
DIRECTORY = click.Path(path_type=Path)
MAX_REJECTED = click.option(
    "--max-rejected",
    type=click.FloatRange(0, 1),
    help="Fail when a larger share of the records cannot be used.  [default: 0.01, or 10 records "
    "where that is more, but no more than half]",
)
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="olmo-anchor")
def cli() -> None:
    """Annotation-anchored training on OLMo-core: post-train a model without narrowing what it says.

    The stages, in order: tokenize (or adopt), annotate, overlay, (inspect), train with torchrun
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
    "--layout",
    type=click.Choice(["olmo", "plain"]),
    help="With --chat: olmo has chat tokens between turns, plain only blank lines, as a document "
    "has: for base models that never saw the chat tokens.  [default: olmo]",
)
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
@MAX_REJECTED
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
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--tokenizer",
    required=True,
    help="What made the tokens: a tokenizer.json, a folder that holds one, or a hub id.",
)
@click.option("--out", required=True, type=DIRECTORY, help="The TOKENS_DIR to write.")
@click.option(
    "--masks",
    metavar="GLOB",
    help="The label masks, one for each token file in the order of their names (in quotes).  "
    "[default: labels_mask_X.npy beside token_ids_X.npy]",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint16", "uint32"]),
    help="Of the ids.  [default: the smallest that holds the vocabulary, as OLMo-core has it]",
)
@click.option(
    "--train-turns",
    type=click.Choice(["final", "all"]),
    default="all",
    show_default=True,
    help="With masks: which of the turns that they train get an annotation. Training keeps the "
    "last one by default, so final saves annotating the others.",
)
@click.option(
    "--bounds",
    type=click.Choice(["csv", "end-of-text"]),
    default="csv",
    show_default=True,
    help="csv: the .csv.gz beside a token file tells its documents, and must agree with the "
    "end-of-text tokens. end-of-text: these alone do, as for OLMo-core.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
@click.option("--dry-run", is_flag=True, help="Say what is taken for what, and stop.")
def adopt(inputs: tuple[Path, ...], out: Path, dry_run: bool, **options: Any) -> None:
    """Take token files that were made elsewhere as they are.

    Reads headerless .npy files, or folders of them: what dolma tokens writes (part-0-00000.npy,
    part-0-00000.csv.gz), what open-instruct's SFT converter writes (token_ids_part_0000.npy,
    labels_mask_part_0000.npy, token_ids_part_0000.csv.gz), Ai2's published memmaps. Every token is
    read once: ids beyond the vocabulary, annotation delimiters and document bounds that disagree
    with the end-of-text tokens are refused.

    Copies nothing. Writes tokenizer/, a .csv.gz for token files that have none, and, last,
    manifest.json, which names the token files where they lie. Then go on as after tokenize. With
    label masks the documents are conversations, and their trained turns are what is annotated.

    \b
    Examples:
      olmo-anchor adopt /data/dolma/books --tokenizer allenai/dolma2-tokenizer --out tokens/books
      olmo-anchor adopt /data/tulu3 --tokenizer /data/tulu3/tokenizer --train-turns final \\
          --out tokens/sft
      olmo-anchor adopt ids/*.npy --masks "masks/*.npy" --dtype uint32 \\
          --tokenizer tokenizer.json --out tokens/mine --dry-run
    """
    from olmo_anchor.corpus.adopt import AdoptConfig, summary

    config = AdoptConfig(inputs=inputs, out=out, **options)
    click.echo("\n".join(config.plan()) if dry_run else summary(config.run(), out))


@cli.command()
@click.argument("tokens", type=DIRECTORY, metavar="TOKENS_DIR")
@click.option(
    "--annotator",
    required=True,
    type=click.Choice(["keyword", "file", "oracle"]),
    help="keyword: keyphrases, names, language and sentiment by statistics, no language model. "
    "file: annotations that you have. oracle: the truth of a synthetic corpus.",
)
@click.option("--out", required=True, type=DIRECTORY, help="The ANNOTATIONS_DIR to write.")
@click.option("--annotations", type=FILE, help="file and oracle: the annotations, as JSONL.")
@click.option("--schema", type=FILE, help="Allowed keys, as YAML or JSON. [default: see below]")
@click.option(
    "--min-chunk-tokens",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Join a shorter chunk to the next; the overlay does the same.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option("--limit", type=click.IntRange(min=1), help="Annotate only the first N documents.")
@MAX_REJECTED
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
@click.option("--resume", is_flag=True, help="Go on after what is annotated already.")
@click.option("--dry-run", is_flag=True, help="Show the annotations of the first chunks, and stop.")
def annotate(dry_run: bool, **options: Any) -> None:
    """Say what each chunk of a corpus is about.

    Reads TOKENS_DIR. The chunks of a document are what blank lines separate, those of a
    conversation its trained turns. The annotations for file and oracle are JSONL, in any order:

    \b
      {"id": "moby-dick", "chunk": 3, "tags": [["topic", "whaling"], ["entity", "Ahab"]]}
      {"part": 0, "doc": 17, "chunk": 0, "annotation": "topic:whaling\\nentity:Ahab"}

    Writes annotations.jsonl (one record per annotated chunk), rejected.jsonl (what could not be
    used, and why) and, last, manifest.json. A schema names the allowed keys, such as
    {"keys": ["topic", "name"], "max_tags": 8, "max_value_chars": 80}; without one, the keyword
    annotator has topic, entity, language and sentiment, the others the paper's keys.

    \b
    Examples:
      olmo-anchor annotate tokens/books --annotator keyword --workers 8 --out annotations/books
      olmo-anchor annotate tokens/books --annotator file --annotations mine.jsonl --out mine
    """
    from olmo_anchor.annotate.job import AnnotateConfig, preview, summary

    config = AnnotateConfig(**options)
    click.echo(preview(config) if dry_run else summary(config.run(), config))


@cli.command()
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
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
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


@cli.command()
@click.argument("tokens", type=DIRECTORY, metavar="TOKENS_DIR")
@click.option("--overlay", type=DIRECTORY, help="The OVERLAY_DIR that belongs to it.")
@click.option(
    "--policy",
    type=click.Choice(["full", "anchored", "unmasked", "annotation_only"]),
    help="Which tokens are trained.  [default: anchored for conversations, else full]",
)
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
@click.option(
    "--train-turns",
    type=click.Choice(["final", "all"]),
    default="final",
    show_default=True,
    help="Which turns of a conversation are trained.",
)
@click.option(
    "--value-only-fraction",
    type=click.FloatRange(0, 1),
    default=0.003,
    show_default=True,
    help="anchored: the share of documents in which only values are masked.",
)
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

    InspectConfig(**options).run()


@cli.command()
@click.argument("tokens", type=DIRECTORY, metavar="TOKENS_DIR")
@click.option("--overlay", required=True, type=DIRECTORY, help="The OVERLAY_DIR of TOKENS_DIR.")
@click.option("--out", required=True, type=DIRECTORY, help="The TOKENS_DIR to write.")
@click.option(
    "--policy",
    type=click.Choice(["full", "anchored", "unmasked", "annotation_only"]),
    help="What the label masks say.  [default: anchored for conversations, else full]",
)
@click.option(
    "--train-turns",
    type=click.Choice(["final", "all"]),
    default="final",
    show_default=True,
    help="Which turns of a conversation are trained.",
)
@click.option(
    "--value-only-fraction",
    type=click.FloatRange(0, 1),
    default=0.003,
    show_default=True,
    help="anchored: the share of documents in which only values are masked.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of that choice.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
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


@cli.command()
@click.argument("checkpoint", type=DIRECTORY, metavar="CHECKPOINT")
@click.argument("out", type=DIRECTORY, metavar="OUT_DIR")
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help="What it was trained with.  [default: the run's own]",
)
@click.option(
    "--max-length",
    type=click.IntRange(min=1),
    help="The longest sequence to serve.  [default: the training sequence length]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
def export(**options: Any) -> None:
    """Make a Hugging Face model folder from a checkpoint, for transformers, vLLM and lm-eval.

    Reads CHECKPOINT: the save folder of a run (its last checkpoint) or one stepN folder in it.
    Writes the weights and config of Olmo2ForCausalLM, the tokenizer of the run, the chat template
    (it leaves annotations of earlier turns out), generation_config.json and, last, manifest.json.
    The converted model's logits are compared with the checkpoint's; where they differ it fails.

    \b
    Example:
      olmo-anchor export runs/sft_anchored runs/sft_anchored/hf
    """
    from olmo_anchor.training.export import ExportConfig

    counts = ExportConfig(**options).run().counts
    click.echo(
        f"{options['out']}: {counts['vocab_size']} tokens, sequences of up to "
        f"{counts['max_length']}; same logits as the checkpoint"
    )


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
@click.option("--seed", default=0, show_default=True, help="Of all samples.")
@click.option(
    "--annotation",
    type=click.Choice(["sample", "skip"]),
    default="sample",
    show_default=True,
    help="sample: the model writes its annotation, or none, as it will. skip: it is kept from it.",
)
@click.option("--stop", multiple=True, help="Cut a response before this text. May be repeated.")
@click.option("--batch-size", type=int, help="Samples at a time; has no influence on them.")
@MAX_REJECTED
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

    config = WorldConfig(seed=seed)
    if documents is not None:
        config = replace(config, documents=documents)
    counts = write_world(out, config, overwrite=overwrite).counts
    click.echo(f"{out}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))


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
