"""The drift of the annotation prior, seen while a model trains.

On a held-out annotated set: the cross-entropy of the true token and the entropy of the prediction,
by role (:mod:`olmo_anchor.spans`), and how both have changed since step 0. The change of ``value``
is what anchored training keeps small: values are sampled before a response, so where their
distribution stays, the model goes on choosing what to say as it did before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

from olmo_core.data.composable import InstanceSourceConfig
from olmo_core.train import Trainer
from olmo_core.train.callbacks import Callback, CallbackConfig
from olmo_core.train.train_module import TransformerTrainModule

from olmo_anchor.errors import InputError
from olmo_anchor.training.collator import AnchorCollator
from olmo_anchor.training.held_out import HeldOutSet, Measured

__all__ = ["AnchorDriftCallback", "AnchorDriftCallbackConfig"]

log = logging.getLogger(__name__)

_OFF = "switch the drift callback off with --trainer.callbacks.drift.enabled=false"


@dataclass
class AnchorDriftCallbackConfig(CallbackConfig):
    """Config of :class:`AnchorDriftCallback`."""

    dataset: InstanceSourceConfig | None = None
    """The held-out set: documents that are not trained on, with their annotations laid in."""
    interval: int = 250
    """Steps between evaluations. There is one before the first step and one after the last, too."""
    max_documents: int = 512
    """How many instances are evaluated, evenly spread over the set; each holds one document where
    the set is padded."""
    chunk: int = 512
    """Positions whose logits exist at one time."""
    enabled: bool = True

    def build(self, trainer: Trainer) -> AnchorDriftCallback | None:
        """:raises InputError: when there is no held-out set, or the run is of a kind that gives no
        logits.
        """
        if not self.enabled:
            return None
        if self.dataset is None or min(self.interval, self.max_documents, self.chunk) < 1:
            raise InputError(
                "the drift callback needs a dataset, and an interval, max_documents and chunk of 1 "
                f"or more; {_OFF}, or set them"
            )
        module = trainer.train_module
        if not isinstance(module, TransformerTrainModule) or module.tp_enabled or module.cp_enabled:
            raise InputError(
                "drift is measured on whole logits, which a model spread over devices by tensor, "
                f"context or pipeline parallelism does not give; {_OFF}"
            )
        collator = getattr(trainer.data_loader, "collator", None)
        if not isinstance(collator, AnchorCollator):
            raise InputError(
                "the drift callback knows the delimiters from the loader's AnchorCollator, and "
                f"there is none; {_OFF}"
            )
        source = self.dataset.build(trainer.work_dir)
        if not len(source) or source.sequence_length > module.max_sequence_length:
            raise InputError(
                f"the held-out set {source.label} has {len(source)} instances of "
                f"{source.sequence_length} tokens; it needs at least one, of no more than the "
                f"model's {module.max_sequence_length} tokens; set "
                f"--trainer.callbacks.drift.dataset.sequence_length, or {_OFF}"
            )
        held_out = HeldOutSet(
            source,
            collator.control,
            collator.pad_token_id,
            self.max_documents,
            self.chunk,
            # As in training, whose attention backend may not take them.
            doc_lengths=getattr(trainer.data_loader, "generate_doc_lengths", False),
        )
        return AnchorDriftCallback(held_out, self.interval)


@dataclass
class AnchorDriftCallback(Callback):
    """Records ``drift/ROLE/CE loss``, ``drift/ROLE/entropy`` and ``... change`` of both, in nats.

    Step 0 is what the run started from, and is kept in its checkpoints. Training is what it is
    without the callback, and at steps without an evaluation nothing is done.
    """

    # Before the checkpointer, which flushes the metrics of its step; after W&B and Comet, which
    # begin in pre_train.
    priority: ClassVar[int] = 2

    held_out: HeldOutSet
    interval: int
    baseline: Measured | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"baseline": self.baseline, "held_out": self.held_out.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """:raises InputError: when the change since step 0 would be that of another set."""
        if state_dict["held_out"] != self.held_out.fingerprint:
            raise InputError(
                f"the run in {self.trainer.save_folder} cannot go on with another held-out set: "
                f"its drift is measured since step 0. Undo the change, {_OFF}, or name another "
                "--save-folder"
            )
        self.baseline = state_dict["baseline"]

    def pre_train(self) -> None:
        if self.step == 0:
            self._evaluate()
        elif self.baseline is None:
            log.warning("drift: the run began without it; no change since step 0 is known")

    def post_train_batch(self) -> None:
        if self.step % self.interval == 0 or self.step == self.trainer.max_steps:
            self._evaluate()

    def _evaluate(self) -> None:
        module = self.trainer.train_module
        assert isinstance(module, TransformerTrainModule)
        measured = self.held_out.measure(module, self.trainer.dp_process_group)
        if self.step == 0:
            self.baseline = measured
        # The console logger shows some steps only, never step 0.
        lines = [f"held-out set at step {self.step}, in nats (change since step 0):"]
        for role, values in measured.items():
            before = self.baseline[role] if self.baseline else (None, None)
            line = f"    {role:9}"
            for name, value, first in zip(("CE loss", "entropy"), values, before, strict=True):
                self.trainer.record_metric(f"drift/{role}/{name}", value)
                line += f"  {name} {value:.4f}"
                if first is not None:
                    self.trainer.record_metric(f"drift/{role}/{name} change", value - first)
                    line += f" ({value - first:+.4f})"
            lines.append(line)
        log.info("\n".join(lines))
