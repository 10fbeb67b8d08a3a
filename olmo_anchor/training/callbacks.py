"""Trainer callbacks: what must not change on resume, metrics in a file, and less padding."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from olmo_core.distributed.utils import get_rank
from olmo_core.train.callbacks import Callback, GPUMemoryMonitorCallback
from olmo_core.train.train_module import TransformerTrainModule

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write

__all__ = [
    "AnchorStateCallback",
    "GPUMemoryCallback",
    "MetricsFileCallback",
    "TrimPaddingCallback",
]


@dataclass
class AnchorStateCallback(Callback):
    """Keeps what decides the label masks in every checkpoint; refuses to go on with anything else.

    The loader's state holds the sources' fingerprints, and nothing about the collator.
    """

    state: dict[str, Any] = field(default_factory=dict)
    """Names and values, as :func:`olmo_anchor.training.anchor_state.anchor_state` gives them."""

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """:raises InputError: naming everything that differs."""
        saved = state_dict["state"]
        differ = sorted(
            name for name in {*saved, *self.state} if saved.get(name) != self.state.get(name)
        )
        if len(differ) > 1:
            differ = [name for name in differ if name != "data"]  # the others say why it differs
        if differ:
            changed = [
                f"{name} was {saved.get(name)!r}, now {self.state.get(name)!r}" for name in differ
            ]
            raise InputError(
                f"the run in {self.trainer.save_folder} cannot go on with other masks, data or "
                f"model: {'; '.join(changed)}. Undo the change, or name another --save-folder"
            )


@dataclass
class MetricsFileCallback(Callback):
    """Appends the metrics of every step to ``metrics.jsonl`` in the save folder (OLMo-core's
    ``MetricSaverCallback`` keeps only the last). Step 0 is there where drift is measured.

    A resumed run cuts off what lies after its checkpoint, and one that starts anew begins with an
    empty file, so that every step stands there once.
    """

    # Its pre_train comes before those of callbacks that may flush the metrics of step 0.
    priority: ClassVar[int] = 3

    name: str = "metrics.jsonl"
    enabled: bool = True

    @property
    def path(self) -> Path:
        return Path(self.trainer.save_folder) / self.name

    def pre_train(self) -> None:
        if not self._writes or not self.path.exists():
            return
        lines = self.path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and _step(line) <= self.step]
        with atomic_write(self.path) as file:
            file.write("".join(kept if self.step else []).encode())

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        # What else is recorded (how long a checkpoint took to load) comes apart from its step.
        of_a_step = any(name.startswith(("train/CE loss", "drift/")) for name in metrics)
        if self._writes and of_a_step:
            with self.path.open("a") as file:
                file.write(json.dumps({"step": step, **metrics}) + "\n")

    @property
    def _writes(self) -> bool:
        return self.enabled and get_rank() == 0


def _step(line: str) -> int:
    return int(json.loads(line)["step"])


@dataclass
class TrimPaddingCallback(Callback):
    """Cuts the columns off a batch that are padding in every row.

    Padding follows the documents and is never a target: losses and gradients stay what they were.
    (The loader itself must give full rows: it checks their number of tokens.) Not for
    ``torch.compile``, which would compile anew for every length.
    """

    priority: ClassVar[int] = -100  # after callbacks that look at the batch as the loader gave it

    pad_token_id: int = -1
    enabled: bool = True

    def pre_step(self, batch: dict[str, Any]) -> None:
        # With gradient accumulation ranks could come to different numbers of micro-batches.
        module = self.trainer.train_module
        assert isinstance(module, TransformerTrainModule)
        if not self.enabled or self.trainer.rank_batch_size > module.rank_microbatch_size:
            return
        ids = batch["input_ids"]
        shape, longest = ids.shape, longest_row(ids, self.pad_token_id)
        for key, value in batch.items():
            if isinstance(value, torch.Tensor) and value.shape == shape:
                batch[key] = value[:, :longest]


def longest_row(ids: torch.Tensor, pad_token_id: int) -> int:
    """The number of columns up to the last token that is not padding, at least 1."""
    used = torch.nonzero((ids != pad_token_id).any(dim=0))
    return int(used[-1]) + 1 if len(used) else 1


@dataclass
class GPUMemoryCallback(GPUMemoryMonitorCallback):
    """OLMo-core's, with a switch: it asks for a GPU wherever it is declared."""

    enabled: bool = True

    def pre_train(self) -> None:
        if self.enabled:
            super().pre_train()  # type: ignore[no-untyped-call]

    def post_step(self) -> None:
        if self.enabled:
            super().post_step()  # type: ignore[no-untyped-call]
