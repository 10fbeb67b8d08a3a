"""From text, or from token files made elsewhere, to a TOKENS_DIR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, MAX_REJECTED, OVERWRITE

__all__ = ["adopt", "tokenize"]


@click.command()
@click.argument("inputs", nargs=-1, required=True)
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
    help="Processes that encode, this one among them, of one thread each.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N records.")
@click.option(
    "--shuffle-seed", type=int, help="Shuffle the records, which are then held in memory."
)
@MAX_REJECTED
@OVERWRITE
@click.option("--resume", is_flag=True, help="Go on after the last finished part.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check every record, say what would be written and rejected, stop.",
)
def tokenize(inputs: tuple[str, ...], out: Path, dry_run: bool, **options: Any) -> None:
    """Turn documents or conversations into the token files that OLMo-core trains on.

    Reads documents {"id", "text"}, or with --chat conversations {"id", "messages": [{"role",
    "content"}, ...]} with the roles system, user and assistant, which end with the assistant. They
    come from JSONL files, also .gz and .zst (Dolma's shards are such), from Parquet, from all of
    these below a folder, or from the hub as hf://datasets/NAME[/CONFIG]:SPLIT. A record without an
    id is named FILE/LINE.

    Encodes with gigatoken, tiktoken or tokenizers, the first of them that is installed and gives
    the ids of tokenizers: pip install 'olmo-anchor[fast]'.

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


@click.command()
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
    default="final",
    show_default=True,
    help="With masks: which of the turns that they train get an annotation: the last, which is "
    "what training keeps by default, or all, for training with train_turns=all. The masks stay as "
    "they are.",
)
@click.option(
    "--bounds",
    type=click.Choice(["csv", "end-of-text"]),
    default="csv",
    show_default=True,
    help="csv: the .csv.gz beside a token file tells its documents, and must agree with the "
    "end-of-text tokens. end-of-text: these alone do, as for OLMo-core.",
)
@OVERWRITE
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
      olmo-anchor adopt /data/tulu3 --tokenizer /data/tulu3/tokenizer --out tokens/sft
      olmo-anchor adopt ids/*.npy --masks "masks/*.npy" --dtype uint32 \\
          --tokenizer tokenizer.json --out tokens/mine --dry-run
    """
    from olmo_anchor.corpus.adopt import AdoptConfig, summary

    config = AdoptConfig(inputs=inputs, out=out, **options)
    click.echo("\n".join(config.plan()) if dry_run else summary(config.run(), out))
