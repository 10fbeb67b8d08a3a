"""OLMo-core's checkpointer, for runs that are started more than once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from olmo_core.distributed.utils import broadcast_object, get_rank
from olmo_core.train.callbacks import CheckpointerCallback
from olmo_core.train.callbacks.checkpointer import CheckpointRemovalStrategy
from torch.distributed.checkpoint.api import CheckpointException

from olmo_anchor.training.checkpoints import cannot_write

__all__ = ["AnchorCheckpointerCallback"]


@dataclass
class AnchorCheckpointerCallback(CheckpointerCallback):
    """Three differences, each for a run that was stopped.

    OLMo-core counts only the checkpoints that its own process wrote: after each restart
    ``max_checkpoints`` more stay. It saves again the step that it has just loaded, deleting the
    checkpoint first. And a full disk ends in a traceback of 150 lines.
    """

    def pre_train(self) -> None:
        if not self.enabled:
            super().pre_train()  # type: ignore[no-untyped-call]
            return
        if self.trainer.checkpoint_loaded and self.step > 0:
            self._latest_checkpoint_step = self.step
        super().pre_train()  # type: ignore[no-untyped-call]
        if self.remove != CheckpointRemovalStrategy.never:
            self._checkpoints, self._ephemeral_checkpoints = broadcast_object(
                (self._found(ephemeral=False), self._found(ephemeral=True))
            )

    def _found(self, ephemeral: bool) -> list[str]:
        if get_rank() != 0:
            return []
        found = self.checkpointer.find_checkpoints(self.save_folder, ephemeral=ephemeral)
        return [path for step, path in sorted(found) if step <= self.step]

    def _save_checkpoint(self, save_async: bool | None = None, ephemeral: bool = False) -> str:
        """:raises WorkFailed: when the checkpoint could not be written."""
        folder, name = Path(self.save_folder), self.checkpointer.checkpoint_dirname(self.step)
        try:
            path: str = super()._save_checkpoint(save_async, ephemeral)
        except (Exception, CheckpointException) as error:  # the latter is a BaseException
            # Before the folder is there, something else went wrong: a loss that is not finite.
            if not (folder / f"{name}-tmp").exists():
                raise
            raise cannot_write(folder, f"the checkpoint of step {self.step}", error) from error
        return path

    def post_train(self) -> None:
        super().post_train()  # type: ignore[no-untyped-call]
        self._remove_old_checkpoints()  # type: ignore[no-untyped-call]
