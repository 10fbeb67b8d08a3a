"""What happens in a run, from a resolved config to a finished save folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from olmo_core.data.composable import InstanceSource
from olmo_core.distributed.utils import barrier, get_rank, is_distributed
from olmo_core.nn.transformer import Transformer
from olmo_core.train import (
    Trainer,
    prepare_training_environment,
    teardown_training_environment,
)
from olmo_core.train.callbacks import CometCallback, ConfigSaverCallback, WandBCallback
from olmo_core.train.train_module import TransformerTrainModule
from olmo_core.utils import seed_all

from olmo_anchor.errors import WorkFailed
from olmo_anchor.manifest import write_json
from olmo_anchor.training.anchor_state import anchor_state
from olmo_anchor.training.callbacks import AnchorStateCallback
from olmo_anchor.training.checkpoints import full_disk_is_told
from olmo_anchor.training.checks import check_experiment, steps_an_epoch
from olmo_anchor.training.embeddings import start_embeddings
from olmo_anchor.training.indexed import IndexedInstanceSource
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.reference import load_reference, needs_reference
from olmo_anchor.training.resume import go_on
from olmo_anchor.training.save_folder import (
    changed_settings,
    find_checkpoint,
    finished_run,
    write_manifest,
)
from olmo_anchor.training.signals import heed_signals, ignore_signals
from olmo_anchor.training.start import is_hugging_face, load_hugging_face, local_folder
from olmo_anchor.training.train_module import AnchorTrainModule

if TYPE_CHECKING:
    from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["train"]


def train(config: AnchoredExperimentConfig, tokenizer: AnchorTokenizer | None) -> None:
    """Train, or go on, until ``manifest.json`` is there.

    :raises InputError: when the save folder holds a finished run of another config, or data, masks
        and checkpoint do not fit each other.
    :raises WorkFailed: when the run was stopped; the same call goes on.
    """
    folder = Path(config.trainer.save_folder)
    # Taken now: the trainer fills fields of the callbacks in, which are the config's own.
    resolved = config.as_config_dict()
    finished = finished_run(folder, config, resolved)
    if finished is not None:
        if os.environ.get("RANK", "0") == "0":
            processes = finished.extra["processes"]
            print(f"{folder}: finished already, by {processes} process{'es' * (processes > 1)}")
            _say_next(folder)
        return
    assert tokenizer is not None
    check_experiment(config, tokenizer)
    began = time.monotonic()
    with heed_signals(folder), full_disk_is_told(folder), _training_environment():
        trainer, dataset = _assemble(config, resolved, tokenizer)
        if _load(trainer, config.load_path):
            start_embeddings(_model(trainer), tokenizer, config.start_like)
        module = trainer.train_module
        if isinstance(module, AnchorTrainModule) and needs_reference(config):
            module.set_reference(load_reference(config, tokenizer, module.device))
        # Only now: a resume that is refused leaves the run's own tokenizer and config.
        if get_rank() == 0:
            changed = changed_settings(folder, resolved)
            if changed:
                print(f"note: {folder}: goes on with another {', '.join(changed)}", file=sys.stderr)
            tokenizer.save(folder / "tokenizer")
            write_json(folder / "config.json", resolved)
        ignore_signals()
        trainer.fit()  # type: ignore[no-untyped-call]
        if trainer.max_steps is not None and trainer.global_step < trainer.max_steps:
            if trainer.is_canceled:
                raise WorkFailed(
                    f"{folder}: stopped at step {trainer.global_step}; the same command goes on"
                )
            return  # a hard stop, asked for: to be continued
        if get_rank() == 0:
            seconds = time.monotonic() - began
            write_manifest(folder, config, resolved, trainer, dataset, seconds)
            print(f"{folder}: finished, {trainer.global_step:,} steps")
            _say_next(folder)
        barrier()


@contextmanager
def _training_environment() -> Iterator[None]:
    prepare_training_environment(backend=_backend(), shared_filesystem=True)
    try:
        yield
    finally:
        teardown_training_environment()  # type: ignore[no-untyped-call]


def _say_next(folder: Path) -> None:
    print(f"next: olmo-anchor export {folder} {folder / 'hf'}")


def _backend() -> str | None:
    if "WORLD_SIZE" not in os.environ:
        return None
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def _assemble(
    config: AnchoredExperimentConfig, resolved: dict[str, Any], tokenizer: AnchorTokenizer
) -> tuple[Trainer, InstanceSource]:
    seed_all(config.init_seed)
    model = config.model.build(init_device="meta")
    module = config.train_module
    if not is_distributed() and module.dp_config is not None:
        # OLMo-core refuses it outside of a process group; it is FSDP that computes in bfloat16.
        module = module.replace(dp_config=None, autocast_precision=module.dp_config.param_dtype)
    train_module = module.build(model)
    assert config.data_loader.work_dir is not None
    dataset = config.dataset.build(config.data_loader.work_dir)
    steps_an_epoch(config, dataset)  # raises where there is none
    collator = config.collator.build(
        pad_token_id=config.tokenizer.pad_token_id,
        vocab_size=config.model.vocab_size,
        tokenizer=tokenizer,
    )
    if isinstance(dataset, IndexedInstanceSource):
        collator.locate = dataset.locate
    data_loader = config.data_loader.build(
        dataset,
        collator=collator,
        dp_process_group=train_module.dp_process_group,
    )
    trainer = config.trainer.build(train_module, data_loader)
    for callback in trainer.callbacks.values():
        if isinstance(callback, ConfigSaverCallback):
            callback.config = resolved
        elif isinstance(callback, WandBCallback | CometCallback):
            callback.config = resolved
            callback.name = callback.name or Path(config.trainer.save_folder).name
        elif isinstance(callback, AnchorStateCallback):
            callback.state = anchor_state(config, dataset.fingerprint)
    return trainer, dataset


def _load(trainer: Trainer, load_path: str | None) -> bool:
    """Go on, or else take the weights of ``load_path``; True where they were taken."""
    if go_on(trainer) or load_path is None:
        return False
    if is_hugging_face(load_path):
        load_hugging_face(local_folder(load_path), _model(trainer))
    else:
        checkpoint = find_checkpoint(Path(load_path))
        trainer.load_checkpoint(checkpoint, load_trainer_state=False, load_optim_state=False)
    return True


def _model(trainer: Trainer) -> Transformer:
    assert isinstance(trainer.train_module, TransformerTrainModule)
    return trainer.train_module.model
