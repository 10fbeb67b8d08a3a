"""The folder of a run: what it holds, and whether it is finished.

In the order in which it comes to be::

    tokenizer/      the tokenizer of the data, so that an export needs nothing else
    config.json     the resolved config
    work/           indexes; may be deleted
    metrics.jsonl   the metrics of every step
    stepN/          OLMo-core checkpoints
    manifest.json   written last, kind "run": the run is finished
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import torch
from olmo_core.data.composable import InstanceSource
from olmo_core.distributed.utils import get_world_size
from olmo_core.train import Checkpointer, Trainer

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import MANIFEST, Manifest, file_record, read_manifest
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.indexed import IndexedInstanceSource
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.start import is_hugging_face, local_folder

__all__ = [
    "PLACES",
    "changed_settings",
    "differences",
    "files_of_the_start",
    "find_checkpoint",
    "finished_run",
    "standing",
    "write_manifest",
]


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
        "torchrun train_configs/NAME.py, or a Hugging Face model: its folder, or hf://NAME"
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run was at a checkpoint.

    :param steps: of the whole run; None where the checkpoint does not tell, as ``step``.
    :param finished: it is the last checkpoint of a finished run.
    :param note: one line about a checkpoint of which this is not so.
    """

    step: int | None
    steps: int | None
    finished: bool
    note: str | None


def standing(checkpoint: Path) -> Standing:
    """Where a ``stepN`` folder stands in its run. Of other trainers' runs nothing is noted."""
    run, state = checkpoint.parent, {}
    if (checkpoint / "train" / "rank0.pt").is_file():
        # The trainer's own state, as the trainer loads it.
        state = torch.load(
            checkpoint / "train" / "rank0.pt", map_location="cpu", weights_only=False
        )
    step, steps = state.get("global_step"), state.get("max_steps")
    if not (run / "tokenizer").is_dir():
        return Standing(step, steps, False, None)
    at, note = f"step {step} of {steps}" if step and steps else checkpoint.name, None
    last = read_manifest(run, "run").extra["checkpoint"] if (run / MANIFEST).exists() else None
    if last is None:
        note = f"note: {run}: the run is unfinished: {at} is taken"
    elif last != checkpoint.name:
        note = f"note: {run}: {at}, not its last, is taken"
    return Standing(step, steps, note is None, note)


PLACES = {
    *(
        "save_folder",
        "work_dir",
        "tokens",
        "overlay",
        "load_path",
        "inputs",
        "expected_tokens",
        "expected_documents",
    ),
}
"""Fields that name folders, whose contents are known by their hashes, or follow from them."""


def _facts(resolved: dict[str, Any]) -> dict[str, Any]:
    """The config without the places where things lie, and without how a batch is spread over
    processes: moving a folder, or running it with more processes, makes no other run."""

    def strip(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: strip(v) for k, v in value.items() if k not in PLACES}
        return [strip(item) for item in value] if isinstance(value, list | tuple) else value

    facts: dict[str, Any] = orjson.loads(orjson.dumps(strip(resolved)))
    module = facts["train_module"]
    del module["rank_microbatch_size"]
    if module.get("dp_config") == Hardware.here().data_parallel().as_config_dict():
        del module["dp_config"]
    return facts


def finished_run(
    folder: Path, config: AnchoredExperimentConfig, resolved: dict[str, Any]
) -> Manifest | None:
    """The manifest of the run in ``folder``, where it is finished and of this config.

    :raises InputError: when it is a finished run of another config, data or checkpoint.
    """
    if not (folder / MANIFEST).exists():
        return None
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
    return finished


def changed_settings(folder: Path, resolved: dict[str, Any]) -> list[str]:
    """What was set otherwise when the run in ``folder`` was last started; empty for a new run."""
    if not (folder / "config.json").exists():
        return []
    return differences(
        _facts(orjson.loads((folder / "config.json").read_bytes())), _facts(resolved)
    )


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
        manifests += files_of_the_start(config.load_path)
    return [file_record(path) for path in manifests]


def files_of_the_start(load_path: str) -> list[Path]:
    """Files by whose hashes the weights that a run starts from are known."""
    if is_hugging_face(load_path):
        folder = local_folder(load_path)
        return sorted((*folder.glob("config.json"), *folder.glob("*.safetensors")))
    checkpoint = find_checkpoint(Path(load_path))
    # The checkpoint's index tells it from the others of its run.
    files = (checkpoint.parent / MANIFEST, checkpoint / "model_and_optim" / ".metadata")
    return [path for path in files if path.exists()]


def write_manifest(
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
    if isinstance(dataset, IndexedInstanceSource):
        counts |= asdict(dataset.counts)
    shutil.rmtree(Path(config.data_loader.work_dir or ""), ignore_errors=True)
    Manifest(
        kind="run",
        inputs=_inputs(config),
        config=resolved,
        counts=counts,
        outputs=[file_record(path, folder) for path in sorted(final.rglob("*")) if path.is_file()],
        seed=config.init_seed,
        extra={
            "config": _facts(resolved),
            "checkpoint": final.name,
            "processes": get_world_size(),
        },
        seconds=round(seconds, 3),
    ).write(folder)
