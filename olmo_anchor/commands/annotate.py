"""``olmo-anchor annotate``: its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from olmo_anchor.commands.options import (
    DIRECTORY,
    FILE,
    MAX_REJECTED,
    OVERWRITE,
    PLACE,
)

__all__ = ["annotate"]

Command = Callable[..., Any]


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order in which ``--help`` shows them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_LANGUAGE_MODEL = _together(
    click.option(
        "--model",
        help="vllm and openai: a hub id or folder; the name that the server gives it.  [default: "
        "Qwen/Qwen3-30B-A3B-Instruct-2507]",
    ),
    click.option(
        "--url",
        multiple=True,
        help="openai: base URL of a server, often ending in /v1. May be repeated: the requests are "
        "spread over all of them. A key is taken from OPENAI_API_KEY.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(min=1),
        help="openai: requests in flight, on all servers together; some 256 for each GPU.  "
        "[default: 256]",
    ),
    click.option(
        "--structured",
        type=click.Choice(["vllm", "none"]),
        help="openai: how the server is held to the schema: by vLLM's structured_outputs, or not "
        "at all, for servers that do not know it.  [default: vllm]",
    ),
    click.option(
        "--max-tries",
        type=click.IntRange(min=1),
        help="vllm and openai: answers to ask for before a chunk is rejected.  [default: 3]",
    ),
    click.option(
        "--max-chunk-chars",
        type=click.IntRange(min=1),
        help="vllm and openai: of a longer chunk only the two ends are shown.  [default: 12000]",
    ),
    click.option(
        "--context",
        is_flag=True,
        help="vllm and openai: also show what stands before the chunk: the document so far, or the "
        "conversation. The paper annotates each chunk by itself, which is cheaper.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        help="openai: seconds after which a request is sent again.  [default: 300]",
    ),
    click.option(
        "--give-up",
        type=click.FloatRange(min=0),
        help="openai: seconds without an answer from any server, after which the work stops, to be "
        "resumed.  [default: 900]",
    ),
    click.option(
        "--tensor-parallel-size",
        type=click.IntRange(min=1),
        help="vllm: GPUs that share one copy of the model.  [default: 1]",
    ),
    click.option(
        "--max-model-len",
        type=click.IntRange(min=1),
        help="vllm: tokens of prompt and answer; less needs less memory.  [default: the model's]",
    ),
    click.option(
        "--gpu-memory",
        type=click.FloatRange(0, 1, min_open=True),
        help="vllm: the share of each GPU's memory to take.  [default: 0.9]",
    ),
)

_EXECUTION = _together(
    click.option(
        "--executor",
        type=click.Choice(["local", "slurm", "ray"]),
        default="local",
        show_default=True,
        help="Where the tasks of the job run: datatrove's executors.",
    ),
    click.option(
        "--executor-options",
        type=FILE,
        help="YAML: options of the executor's class in datatrove, such as partition and time.",
    ),
    click.option(
        "--tasks",
        type=click.IntRange(min=1),
        help="Cut the job into so many tasks.  [default: by size and workers]",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Tasks at a time.",
    ),
)

_LOOKING = _together(
    click.option(
        "--sample",
        type=click.IntRange(min=1),
        help="Annotate the chunks at N random tokens and write nothing; with --show, --estimate or "
        "both.  [default: 100]",
    ),
    click.option("--show", is_flag=True, help="Print the sampled chunks with their annotations."),
    click.option("--estimate", is_flag=True, help="Say what the whole corpus would take."),
    click.option(
        "--gpus", type=click.IntRange(min=1), help="For --estimate: how many answer the sample."
    ),
    click.option(
        "--gpu-hour", type=float, help="For --estimate: the price of one GPU for an hour."
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of --sample."),
)


@click.command()
@click.argument("tokens", type=PLACE, metavar="TOKENS_DIR")
@click.option(
    "--annotator",
    required=True,
    type=click.Choice(["vllm", "openai", "keyword", "file", "oracle"]),
    help="vllm: a language model on this machine's GPUs. openai: one on servers that speak "
    "OpenAI's protocol, such as `vllm serve`. keyword: topics, names, actions, places, times, "
    "language and sentiment without a language model (docs/keyword.md). file: annotations that you "
    "have. oracle: the truth of a synthetic corpus.",
)
@click.option("--out", type=DIRECTORY, help="The ANNOTATIONS_DIR to write.")
@click.option("--annotations", type=FILE, help="file and oracle: JSONL or Parquet.")
@click.option(
    "--schema",
    type=FILE,
    help="Allowed keys and what they mean, as YAML or JSON.  [default: see below]",
)
@_LANGUAGE_MODEL
@click.option(
    "--min-chunk-tokens",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Join a shorter chunk to the next; the overlay does the same.",
)
@_EXECUTION
@click.option("--limit", type=click.IntRange(min=1), help="Annotate only the first N documents.")
@_LOOKING
@MAX_REJECTED
@OVERWRITE
@click.option("--resume", is_flag=True, help="Go on after what is annotated already.")
@click.option("--dry-run", is_flag=True, help="The same as --sample 5 --show.")
def annotate(**options: Any) -> None:
    """Say what each chunk of a corpus is about.

    Reads TOKENS_DIR, a folder or a URL such as s3://bucket/tokens. The chunks of a document are
    what blank lines separate, those of a conversation its trained turns. The annotations for file
    and oracle are JSONL (or the same as Parquet), in any order:

    \b
      {"id": "moby-dick", "chunk": 3, "tags": [["topic", "whaling"], ["entity", "Ahab"]]}
      {"part": 0, "doc": 17, "chunk": 0, "annotation": "topic:whaling\\nentity:Ahab"}

    Writes records/NNNNN.jsonl.zst (one record per annotated chunk), rejected.jsonl (what could not
    be used, and why) and, last, manifest.json. Killed at any moment, it goes on with --resume. A
    schema names the allowed keys, such as {"keys": ["topic", "name"], "max_tags": 8,
    "max_value_chars": 80}, and may describe them to a language model (docs/annotating.md); without
    one, the keyword annotator has its own, the others the paper's keys.

    On a cluster the same job runs as an array of tasks; slurm.yaml holds at least `partition: NAME`
    and `time: "08:00:00"`, and TOKENS_DIR and --out lie on a shared file system.

    \b
    Examples:
      olmo-anchor annotate tokens/books --annotator keyword --workers 8 --out annotations/books
      olmo-anchor annotate tokens/books --annotator vllm --sample 1000 --show --estimate
      olmo-anchor annotate tokens/books --annotator openai --url http://node1:8000/v1 \\
          --url http://node2:8000/v1 --concurrency 4096 --out annotations/books
      olmo-anchor annotate tokens/books --annotator vllm --out annotations/books \\
          --executor slurm --executor-options slurm.yaml --tasks 200 --workers 50
      olmo-anchor annotate tokens/books --annotator file --annotations mine.jsonl --out mine
    """
    from olmo_anchor.annotate.command import run

    if said := run(**options):
        click.echo(said)
