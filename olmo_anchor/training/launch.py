"""The command line of every file in ``train_configs/``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import rich
from olmo_core.exceptions import OLMoConfigurationError
from olmo_core.io import is_url
from olmo_core.utils import prepare_cli_environment

from olmo_anchor.errors import AnchorError, InputError
from olmo_anchor.training.checks import check_experiment
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.mixture import document_sources
from olmo_anchor.training.plan import plan
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs
from olmo_anchor.training.run import train
from olmo_anchor.training.save_folder import differences, find_checkpoint, standing
from olmo_anchor.training.start import is_hugging_face

__all__ = ["differences", "find_checkpoint", "main", "train"]

Build = Callable[[Inputs], AnchoredExperimentConfig]

_EPILOG = """
Any field of the config can be set in OLMo-core's dotted grammar, for example
  --train_module.optim.lr=1e-3        the learning rate
  --trainer.max_duration.value=100    fewer steps
  --collator.policy=unmasked          another mask policy
--dry-run prints all of them. The same command run again goes on from the last checkpoint in the
save folder, or says that the run is finished. Several processes:
  torchrun --nproc-per-node=2 FILE ...
"""


def main(build: Build, description: str | None = None, *, gpus: int | None = None) -> None:
    """Run the command line of a recipe file; does not return.

    :param gpus: that the recipe is laid out for: a dry run on a machine without any tells what the
        run takes there.

    Exit codes: 0 done, 1 the work failed or was stopped (run it again to go on), 2 wrong input.
    """
    logging.getLogger("olmo_core.utils").addFilter(_tells_the_truth)
    try:
        inputs, dry_run, overrides = _parse(description, gpus)
        config = _override(build(inputs), overrides)
        if os.environ.get("RANK", "0") == "0":
            for note in _notes(config):
                print(note, file=sys.stderr)
        if dry_run:
            _print_plan(config, inputs)
        else:
            train(config, inputs.anchor_tokenizer)
    except (AnchorError, OLMoConfigurationError) as error:
        if os.environ.get("OLMO_ANCHOR_TRACEBACK"):
            raise
        if os.environ.get("RANK", "0") == "0":
            print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, AnchorError) else 2)
    sys.exit(0)


def _notes(config: AnchoredExperimentConfig) -> Iterator[str]:
    """What is allowed, and often not meant."""
    if config.load_path is not None and not is_hugging_face(config.load_path):
        note = standing(find_checkpoint(Path(config.load_path))).note
        if note is not None:
            yield note
    if config.layout is None:
        return
    if config.load_path is None:
        yield "note: without --load-path the weights begin at random, not from a pretrained model"
    sources = document_sources(config.dataset)
    if any(not source.annotations and source.overlay is None for source in sources):
        yield (
            "note: without --overlay this arm sees other conversations in a step than an arm with "
            "annotations; name the same one here to compare them"
        )


def _tells_the_truth(record: logging.LogRecord) -> bool:
    # Of a variable that the user has set OLMo-core warns that it has the value of its own choice:
    # "skip setting env var 'OMP_NUM_THREADS' since it's already set to '8'", where it is 1.
    return "Will skip setting env var" not in record.getMessage()


def _parse(description: str | None, gpus: int | None) -> tuple[Inputs, bool, list[str]]:
    parser = argparse.ArgumentParser(
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--tokens",
        metavar="DIR",
        help="what `olmo-anchor tokenize` wrote, or for pretraining a mixture file (YAML)",
    )
    parser.add_argument("--overlay", metavar="DIR", help="what `olmo-anchor overlay` wrote for it")
    parser.add_argument("--save-folder", metavar="DIR", help="where the run goes")
    parser.add_argument(
        "--load-path",
        metavar="DIR",
        help="what to take the weights from: a run, a checkpoint, a Hugging Face model (a folder, "
        "or hf://NAME on the hub)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the config, parameters, tokens, steps, operations, GPU-hours and memory; needs "
        "no data and no GPU, and writes nothing",
    )
    parser.add_argument(
        "--gpus",
        type=int,
        metavar="N",
        help="with --dry-run: plan for so many H100s instead of this machine"
        + (f" (default without a GPU: {gpus})" if gpus else ""),
    )
    parser.add_argument(
        "--size",
        metavar="NAME",
        help="another size of a recipe that has several, such as tiny: a few steps on a CPU",
    )
    parser.add_argument(
        "--budget",
        type=_tokens,
        metavar="TOKENS",
        help="of a pretraining run, such as 2e9; default the recipe's",
    )
    options, overrides = parser.parse_known_args()
    # OLMo-core takes --a.b for --a.b=true.
    wrong = [word for word in overrides if not word.startswith("--") or not {*"=."} & {*word}]
    if wrong:
        parser.error(f"not an option: {wrong[0]} (overrides look like --name.of.field=value)")
    if not options.dry_run:
        for name in ("tokens", "save_folder"):
            if getattr(options, name) is None:
                parser.error(f"--{name.replace('_', '-')} is needed, except with --dry-run")
        if is_url(options.save_folder):
            parser.error("--save-folder is a local folder")
    if options.overlay is not None and options.tokens is None:
        parser.error("--overlay is laid over --tokens, which is not named")
    if options.gpus is not None and (options.gpus < 1 or not options.dry_run):
        parser.error("--gpus goes with --dry-run and is at least 1; torchrun starts processes")
    hardware = Hardware.here()
    planned = options.gpus or (gpus if not (hardware.gpu or options.size) else None)
    if options.dry_run and planned:
        hardware = Hardware.planned(planned)
    inputs = Inputs(
        options.tokens,
        options.overlay,
        options.save_folder or "runs/dry-run",
        options.load_path,
        options.seed,
        options.size,
        options.budget,
        hardware,
    )
    return inputs, options.dry_run, overrides


def _tokens(text: str) -> int:
    try:
        number = int(float(text))  # 2e9 too
    except (ValueError, OverflowError):
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tokens such as 2e9")
    return number


def _override(config: AnchoredExperimentConfig, overrides: list[str]) -> AnchoredExperimentConfig:
    try:
        return config.merge(overrides)
    except (KeyError, ValueError, TypeError, IndexError, OLMoConfigurationError) as error:
        # An unknown key in the middle of a path is a bare KeyError.
        reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"cannot set {' '.join(overrides)}: {reason}; --dry-run prints every field"
        ) from None


def _print_plan(config: AnchoredExperimentConfig, inputs: Inputs) -> None:
    prepare_cli_environment()
    # Of the model that only counts operations, layer by layer; its attention is not the run's.
    logging.getLogger("olmo_core.nn").setLevel(logging.WARNING)
    check_experiment(config, inputs.anchor_tokenizer)
    lines = plan(config, inputs.hardware)
    rich.print(config)
    print("\n".join(lines))
