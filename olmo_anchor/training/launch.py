"""The command line of every file in ``train_configs/``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich
from olmo_core.exceptions import OLMoConfigurationError
from olmo_core.io import is_url
from olmo_core.utils import prepare_cli_environment

from olmo_anchor.errors import AnchorError, InputError
from olmo_anchor.training.checks import check_experiment
from olmo_anchor.training.indexed import IndexedInstanceSource
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs
from olmo_anchor.training.run import train
from olmo_anchor.training.save_folder import differences, find_checkpoint, standing

if TYPE_CHECKING:
    from olmo_anchor.tokenizer import AnchorTokenizer

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


def main(build: Build, description: str | None = None) -> None:
    """Run the command line of a recipe file; does not return.

    Exit codes: 0 done, 1 the work failed or was stopped (run it again to go on), 2 wrong input.
    """
    logging.getLogger("olmo_core.utils").addFilter(_tells_the_truth)
    try:
        inputs, dry_run, overrides = _parse(description)
        config = _override(build(inputs), overrides)
        if config.load_path is not None:
            note = standing(find_checkpoint(Path(config.load_path))).note
            if note is not None and os.environ.get("RANK", "0") == "0":
                print(note, file=sys.stderr)
        if dry_run:
            _print_plan(config, inputs.anchor_tokenizer)
        else:
            train(config, inputs.anchor_tokenizer)
    except (AnchorError, OLMoConfigurationError) as error:
        if os.environ.get("OLMO_ANCHOR_TRACEBACK"):
            raise
        if os.environ.get("RANK", "0") == "0":
            print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, AnchorError) else 2)
    sys.exit(0)


def _tells_the_truth(record: logging.LogRecord) -> bool:
    # Of a variable that the user has set OLMo-core warns that it has the value of its own choice:
    # "skip setting env var 'OMP_NUM_THREADS' since it's already set to '8'", where it is 1.
    return "Will skip setting env var" not in record.getMessage()


def _parse(description: str | None) -> tuple[Inputs, bool, list[str]]:
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
        "--load-path", metavar="DIR", help="a run or checkpoint to take the weights from"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the config, parameters, tokens and steps; needs no data and writes nothing",
    )
    options, overrides = parser.parse_known_args()
    wrong = [word for word in overrides if not word.startswith("--")]
    if wrong:
        parser.error(f"not an option: {wrong[0]} (overrides look like --name.of.field=value)")
    if not options.dry_run:
        for name in ("tokens", "save_folder"):
            if getattr(options, name) is None:
                parser.error(f"--{name.replace('_', '-')} is needed, except with --dry-run")
        if is_url(options.save_folder):
            parser.error("--save-folder is a local folder")
    return (
        Inputs(
            options.tokens,
            options.overlay,
            options.save_folder or "runs/dry-run",
            options.load_path,
            options.seed,
        ),
        options.dry_run,
        overrides,
    )


def _override(config: AnchoredExperimentConfig, overrides: list[str]) -> AnchoredExperimentConfig:
    try:
        return config.merge(overrides)
    except (KeyError, ValueError, TypeError, IndexError, OLMoConfigurationError) as error:
        # An unknown key in the middle of a path is a bare KeyError.
        reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"cannot set {' '.join(overrides)}: {reason}; --dry-run prints every field"
        ) from None


def _print_plan(config: AnchoredExperimentConfig, tokenizer: AnchorTokenizer | None) -> None:
    prepare_cli_environment()
    check_experiment(config, tokenizer)
    data = _about_data(config)
    rich.print(config)
    parameters, inner = config.model.num_params, config.model.num_non_embedding_params
    print(f"parameters: {parameters:,} ({inner:,} without the embedding)")
    print("\n".join(data))


def _about_data(config: AnchoredExperimentConfig) -> list[str]:
    assert config.data_loader.global_batch_size is not None
    rows = config.data_loader.global_batch_size // config.train_module.max_sequence_length
    if not config.inputs:
        return [f"batch: {rows} instances; tokens and steps are unknown without --tokens"]
    lines = []
    with tempfile.TemporaryDirectory() as work_dir:
        dataset = config.dataset.build(work_dir)
        if isinstance(dataset, IndexedInstanceSource):
            counts = asdict(dataset.counts).items()
            lines = ["data: " + ", ".join(f"{name} {count:,}" for name, count in counts)]
        lines.append(f"batch: {rows} instances, {len(dataset) // rows:,} steps an epoch")
    duration = config.trainer.max_duration
    return [*lines, f"duration: {duration.value:,} {duration.unit}"]
