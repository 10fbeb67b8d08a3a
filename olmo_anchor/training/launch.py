"""The command line of every file in ``train_configs/``, and what happens in a run.

A save folder holds, in the order in which it comes to be::

    tokenizer/      the tokenizer of the data, so that an export needs nothing else
    config.json     the resolved config
    work/           indexes; may be deleted
    metrics.jsonl   the metrics of every step
    stepN/          OLMo-core checkpoints
    manifest.json   written last, kind "run": the run is finished
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import rich
import torch
from olmo_core.data.composable import ConcatAndChunkInstanceSourceConfig, InstanceSource
from olmo_core.distributed.utils import barrier, get_rank
from olmo_core.exceptions import OLMoConfigurationError
from olmo_core.io import is_url
from olmo_core.train import (
    Checkpointer,
    Trainer,
    prepare_training_environment,
    teardown_training_environment,
)
from olmo_core.train.callbacks import ConfigSaverCallback
from olmo_core.train.train_module import TransformerTrainModule
from olmo_core.utils import prepare_cli_environment, seed_all

from olmo_anchor.errors import AnchorError, InputError, WorkFailed
from olmo_anchor.manifest import MANIFEST, Manifest, file_record, read_manifest, write_json
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.callbacks import AnchorStateCallback
from olmo_anchor.training.embeddings import start_embeddings
from olmo_anchor.training.instances import PaddedInstanceSource, PaddedInstanceSourceConfig
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs
from olmo_anchor.training.source import InterleavedDocumentSourceConfig

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
    try:
        inputs, dry_run, overrides = _parse(description)
        config = _override(build(inputs), overrides)
        if dry_run:
            _print_plan(config)
        else:
            train(config, inputs.anchor_tokenizer)
    except (AnchorError, OLMoConfigurationError) as error:
        if os.environ.get("OLMO_ANCHOR_TRACEBACK"):
            raise
        if os.environ.get("RANK", "0") == "0":
            print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, AnchorError) else 2)
    sys.exit(0)


def _parse(description: str | None) -> tuple[Inputs, bool, list[str]]:
    parser = argparse.ArgumentParser(
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--tokens", metavar="DIR", help="what `olmo-anchor tokenize` wrote")
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


def _print_plan(config: AnchoredExperimentConfig) -> None:
    prepare_cli_environment()
    rich.print(config)
    parameters, inner = config.model.num_params, config.model.num_non_embedding_params
    print(f"parameters: {parameters:,} ({inner:,} without the embedding)")
    assert config.data_loader.global_batch_size is not None
    rows = config.data_loader.global_batch_size // config.train_module.max_sequence_length
    if not config.inputs:
        print(f"batch: {rows} instances; tokens and steps are unknown without --tokens")
        return
    with tempfile.TemporaryDirectory() as work_dir:
        dataset = config.dataset.build(work_dir)
        steps = len(dataset) // rows
        if isinstance(dataset, PaddedInstanceSource):
            print("data: " + ", ".join(f"{k} {v:,}" for k, v in asdict(dataset.counts).items()))
        print(f"batch: {rows} instances, {steps:,} steps an epoch")
        print(f"duration: {config.trainer.max_duration.value:,} {config.trainer.max_duration.unit}")


# --- a run ---------------------------------------------------------------------------------------


def train(config: AnchoredExperimentConfig, tokenizer: AnchorTokenizer | None) -> None:
    """Train, or go on, until ``manifest.json`` is there.

    :raises InputError: when the save folder holds a finished run of another config, or data, masks
        and checkpoint do not fit each other.
    :raises WorkFailed: when the run was stopped; the same call goes on.
    """
    folder = Path(config.trainer.save_folder)
    # Taken now: the trainer fills fields of the callbacks in, which are the config's own.
    resolved = config.as_config_dict()
    if _is_finished(folder, config, resolved):
        if os.environ.get("RANK", "0") == "0":
            print(f"{folder}: finished already")
        return
    assert tokenizer is not None
    load_path = None if config.load_path is None else find_checkpoint(Path(config.load_path))
    if load_path is not None:
        _check_same_tokenizer(load_path.parent, config)
    chunked = isinstance(config.dataset, ConcatAndChunkInstanceSourceConfig)
    if chunked and MaskPolicy(config.collator.policy).masks_by_role:
        raise InputError(
            f"the policy {config.collator.policy} masks by role, which needs instances that begin "
            "at a document; this recipe cuts documents into chunks"
        )
    if isinstance(config.dataset, PaddedInstanceSourceConfig | ConcatAndChunkInstanceSourceConfig):
        for source in config.dataset.sources:
            if isinstance(source, InterleavedDocumentSourceConfig):
                source.open()  # what is wrong with the data is said before anything is written
    began = time.monotonic()
    prepare_training_environment(backend=_backend(), shared_filesystem=True)
    try:
        trainer, dataset = _assemble(config, resolved)
        if _load(trainer, load_path):
            assert isinstance(trainer.train_module, TransformerTrainModule)
            start_embeddings(trainer.train_module.model, tokenizer, config.start_like)
        # Only now: a resume that is refused leaves the run's own tokenizer and config.
        if get_rank() == 0:
            tokenizer.save(folder / "tokenizer")
            write_json(folder / "config.json", resolved)
        trainer.fit()  # type: ignore[no-untyped-call]
        if trainer.is_canceled:
            raise WorkFailed(
                f"{folder}: stopped at step {trainer.global_step}; the same command goes on"
            )
        if trainer.max_steps is not None and trainer.global_step < trainer.max_steps:
            return  # a hard stop, asked for: to be continued
        if get_rank() == 0:
            seconds = time.monotonic() - began
            _write_manifest(folder, config, resolved, trainer, dataset, seconds)
        barrier()
    finally:
        teardown_training_environment()  # type: ignore[no-untyped-call]


def _backend() -> str | None:
    if "WORLD_SIZE" not in os.environ:
        return None
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def _assemble(
    config: AnchoredExperimentConfig, resolved: dict[str, Any]
) -> tuple[Trainer, InstanceSource]:
    seed_all(config.init_seed)
    model = config.model.build(init_device="meta")
    train_module = config.train_module.build(model)
    assert config.data_loader.work_dir is not None
    dataset = config.dataset.build(config.data_loader.work_dir)
    data_loader = config.data_loader.build(
        dataset,
        collator=config.collator.build(
            pad_token_id=config.tokenizer.pad_token_id, vocab_size=config.model.vocab_size
        ),
        dp_process_group=train_module.dp_process_group,
    )
    trainer = config.trainer.build(train_module, data_loader)
    for callback in trainer.callbacks.values():
        if isinstance(callback, ConfigSaverCallback):
            callback.config = resolved
        elif isinstance(callback, AnchorStateCallback):
            callback.state = {
                "policy": str(config.collator.policy),
                "value_only_fraction": config.collator.value_only_fraction,
                "collator seed": config.collator.seed,
                "control ids": dict(config.collator.control),
                "tokenizer": config.tokenizer_hash,
                "data": dataset.fingerprint,
            }
    return trainer, dataset


def _load(trainer: Trainer, load_path: Path | None) -> bool:
    """Go on, or else take the weights of ``load_path``; True where they were taken."""
    try:
        resumed = trainer.maybe_load_checkpoint(load_trainer_state=True, load_optim_state=True)
    except RuntimeError as error:
        # The loader compares fingerprints before any callback can say more.
        if "fingerprints don't match" not in str(error):
            raise
        raise InputError(
            f"the run in {trainer.save_folder} cannot go on with other data than it began with; "
            "name another --save-folder"
        ) from None
    if not resumed and load_path is not None:
        trainer.load_checkpoint(load_path, load_trainer_state=False, load_optim_state=False)
        return True
    return False


# --- folders -------------------------------------------------------------------------------------


def find_checkpoint(path: Path) -> Path:
    """The ``stepN`` folder that a path means: itself, one inside it, or the last of a run.

    :raises InputError: when there is no whole checkpoint.
    """
    if path.name == "model_and_optim":
        path = path.parent
    if (path / "model_and_optim").is_dir() and Checkpointer.dir_is_checkpoint(str(path)):
        return path.resolve()
    if path.is_dir() and Checkpointer.contains_checkpoint(str(path)):
        return Path(Checkpointer.latest_checkpoint(str(path))).resolve()
    raise InputError(
        f"{path}: no checkpoint there; name a run's save folder or a stepN folder in it, made with "
        "torchrun train_configs/NAME.py"
    )


def _check_same_tokenizer(run: Path, config: AnchoredExperimentConfig) -> None:
    from olmo_anchor.tokenizer import AnchorTokenizer

    if not (run / "tokenizer").is_dir():
        return
    trained = AnchorTokenizer.load(run / "tokenizer").hash
    if trained != config.tokenizer_hash:
        raise InputError(
            f"{run}: was trained with another tokenizer (hash {trained[:12]}) than the data "
            f"(hash {config.tokenizer_hash[:12]}); tokenize the data with {run / 'tokenizer'}"
        )


_PLACES = {"save_folder", "work_dir", "tokens", "overlay", "load_path", "inputs"}


def _facts(resolved: dict[str, Any]) -> dict[str, Any]:
    """The config without the places where things lie: moving a folder makes no other run."""

    def strip(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: strip(v) for k, v in value.items() if k not in _PLACES}
        return [strip(item) for item in value] if isinstance(value, list | tuple) else value

    facts: dict[str, Any] = orjson.loads(orjson.dumps(strip(resolved)))
    return facts


def _is_finished(folder: Path, config: AnchoredExperimentConfig, resolved: dict[str, Any]) -> bool:
    if not (folder / MANIFEST).exists():
        return False
    finished = read_manifest(folder, "run")
    changed = differences(finished.extra["config"], _facts(resolved))
    inputs = [record["sha256"] for record in finished.inputs]
    if inputs != [record["sha256"] for record in _inputs(config)]:
        changed.append("the data, or the checkpoint it started from")
    if changed:
        raise InputError(
            f"{folder}: holds a finished run that differs in {', '.join(changed[:5])}; name "
            "another --save-folder, or delete this one"
        )
    return True


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Dotted names of the fields in which two configs, as nested dicts, differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            name
            for key in sorted({*one, *other})
            for name in differences(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if one == other else [path]


def _inputs(config: AnchoredExperimentConfig) -> list[dict[str, Any]]:
    manifests = [Path(path) / MANIFEST for path in config.inputs]
    if config.load_path is not None:
        checkpoint = find_checkpoint(Path(config.load_path))
        manifests += [p for p in (checkpoint.parent / MANIFEST,) if p.exists()]
    return [file_record(path) for path in manifests]


def _write_manifest(
    folder: Path,
    config: AnchoredExperimentConfig,
    resolved: dict[str, Any],
    trainer: Trainer,
    dataset: InstanceSource,
    seconds: float,
) -> None:
    final = folder / f"step{trainer.global_step}"
    counts = {
        "steps": trainer.global_step,
        "tokens_with_padding": trainer.global_train_tokens_seen,
        "parameters": config.model.num_params,
    }
    if isinstance(dataset, PaddedInstanceSource):
        counts |= asdict(dataset.counts)
    shutil.rmtree(Path(config.data_loader.work_dir or ""), ignore_errors=True)
    Manifest(
        kind="run",
        inputs=_inputs(config),
        config=resolved,
        counts=counts,
        outputs=[file_record(path, folder) for path in sorted(final.rglob("*")) if path.is_file()],
        seed=config.init_seed,
        extra={"config": _facts(resolved), "checkpoint": final.name},
        seconds=round(seconds, 3),
    ).write(folder)
