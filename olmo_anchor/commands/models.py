"""From a checkpoint to a model folder, and to what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, FILE, MAX_REJECTED, OVERWRITE

__all__ = ["export", "generate"]


@click.command()
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
@OVERWRITE
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
    click.echo(
        f"next: olmo-anchor generate {options['out']} --prompts PROMPTS.jsonl "
        "--out GENERATIONS.jsonl"
    )


@click.command()
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
@click.option("--max-tokens", default=512, show_default=True, help="Of a response.")
@click.option(
    "--max-annotation-tokens",
    default=256,
    show_default=True,
    help="Of an annotation, which takes nothing from --max-tokens. A longer one is left unclosed.",
)
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

    Other fields of a prompt's record go into its samples: a suite of evaluate may want its `kind`.

    Writes one line per sample, annotation and response apart, to OUT; beside it prompts that could
    not be used (OUT's name with .rejected.jsonl) and, last, the manifest (.manifest.json): without
    that OUT is unfinished, and --resume finishes it.

    A sample is the same for the same seed, whatever is sampled beside it. Models that annotate and
    models that do not get equally many tokens for a response, as long as the context of the model
    holds prompt, annotation and response: those that ran out of it are counted.

    \b
      olmo-anchor generate runs/sft/hf --prompts prompts.jsonl --out runs/sft/generations.jsonl
    """
    from olmo_anchor.generation.generate import GenerateConfig, summary

    config = GenerateConfig(**options)
    click.echo(summary(config.run(), config.out))
