"""What a run goes on from when it is started again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from olmo_core.distributed.utils import broadcast_object, get_rank
from olmo_core.train import Trainer

from olmo_anchor.errors import AnchorError
from olmo_anchor.training.callbacks import AnchorStateCallback
from olmo_anchor.training.checkpoints import last_whole, remove_torn

__all__ = ["go_on"]

T = TypeVar("T")


def go_on(trainer: Trainer) -> bool:
    """Load the last whole checkpoint in the trainer's save folder; False where there is none.

    :raises InputError: when the run began with other data, masks or model, naming what changed.
    :raises WorkFailed: when no checkpoint of those that were finished is whole.
    """
    checkpoint = _from_rank_0(lambda: _last_whole(Path(trainer.save_folder)))
    if checkpoint is None:
        return False
    # Before anything is loaded: the loader would only say that some data differs, and a model with
    # fewer layers loads what it finds.
    state = torch.load(checkpoint / "train" / "rank0.pt", map_location="cpu", weights_only=False)
    for name, callback in trainer.callbacks.items():
        if isinstance(callback, AnchorStateCallback) and name in state["callbacks"]:
            callback.load_state_dict(state["callbacks"][name])
    trainer.load_checkpoint(str(checkpoint), load_trainer_state=True, load_optim_state=True)
    return True


def _last_whole(folder: Path) -> Path | None:
    last = last_whole(folder)
    remove_torn(folder, last)
    return last


def _from_rank_0(look: Callable[[], T]) -> T:
    """What rank 0 finds or raises, on all ranks: a shared file system shows changes at different
    times, and ranks that disagree wait for each other for ever."""
    found: T | None = None
    error: AnchorError | None = None
    if get_rank() == 0:
        try:
            found = look()
        except AnchorError as raised:
            error = raised
    found, error = broadcast_object((found, error))
    if error is not None:
        raise error
    return found  # type: ignore[return-value]
