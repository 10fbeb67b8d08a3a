"""A loss that does not depend on how a batch is spread over ranks.

Each rank's loss is a sum over its trained tokens divided by a number, and gradients and metrics are
means over ranks. OLMo-core's :class:`TransformerTrainModule` divides by the rank's own count of
trained tokens: a token beside few others then weighs more than one beside many. Dividing by the
*mean* count of all ranks gives each token of the global batch the same weight, and a rank without
targets contributes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from olmo_core.data.utils import get_labels
from olmo_core.distributed.utils import backend_supports_cpu, get_world_size, is_distributed
from olmo_core.nn.lm_head import LMOutputWithLoss
from olmo_core.nn.transformer import Transformer
from olmo_core.train.common import ReduceType
from olmo_core.train.train_module import TransformerTrainModule, TransformerTrainModuleConfig
from olmo_core.utils import move_to_device
from torch.distributed.checkpoint.state_dict import StateDictOptions

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.training.collator import AnchorCollator, name_rows
from olmo_anchor.training.regularizer import (
    Logits,
    Reference,
    RegularizerConfig,
    RegularizerKind,
    entropy_sum,
    in_chunks,
    kl_sum,
    penalised_head,
)

__all__ = ["AnchorTrainModule", "AnchorTrainModuleConfig"]


class AnchorTrainModule(TransformerTrainModule):
    """OLMo-core's train module, with every trained token of a global batch weighing the same.

    On one rank it is :class:`TransformerTrainModule` to the bit; on any number of ranks it does
    what that does on one: the loss, the gradients, the z-loss and the ``train/CE loss`` that is
    reported. Instances that an instance filter masks count as there, as tokens of zero loss.
    Tensor and context parallelism are as in OLMo-core: their ranks hold the same rows.

    With a regularizer, its term is added to the loss of every trained token and recorded; the
    cross-entropy that is reported stays what it is. ``kl`` needs a :class:`Reference`.
    """

    _loss_div_factor: torch.Tensor | None = None
    _term: torch.Tensor | None = None
    regularizer = RegularizerConfig()
    reference: Reference | None = None

    def set_reference(self, model: Transformer) -> None:
        """What ``kl`` measures from; it is taken over, and frozen."""
        # FSDP computes in a type of its own; autocast does it by itself.
        dtype = self._dp_config.param_dtype if self._dp_config is not None else None
        self.reference = Reference(model, dtype.as_pt() if dtype is not None else torch.float32)

    def train_batch(self, batch: dict[str, Any], dry_run: bool = False) -> None:
        """:raises WorkFailed: on every rank, when no token of the global batch is trained, naming
        the documents of the rank's own rows. Not on a dry run, whose rows are random."""
        if "labels" not in batch:
            batch["labels"] = get_labels(batch, label_ignore_index=self.label_ignore_index)
        total = _sum_over_ranks(self._count(batch), self.device)
        if total == 0 and not dry_run:
            raise self._untrained(batch)
        # A tensor, as upstream's: a number would be compiled in, and anew for every batch.
        mean = torch.tensor(max(total, 1) / get_world_size())
        self._loss_div_factor = move_to_device(mean, self.device)
        self._term = torch.zeros((), device=self.device)
        super().train_batch(batch, dry_run=dry_run)
        kind = RegularizerKind(self.regularizer.kind)
        if kind is not RegularizerKind.none and not dry_run:
            name = "KL" if kind is RegularizerKind.kl else "entropy"
            self.record_metric(name, self._term, ReduceType.mean, namespace="train")

    def model_forward(
        self, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Any
    ) -> torch.Tensor | LMOutputWithLoss:
        if "loss_div_factor" not in kwargs:
            return super().model_forward(input_ids, labels=labels, **kwargs)
        kwargs["loss_div_factor"] = self._loss_div_factor
        assert labels is not None
        with self._regularized(input_ids, labels, kwargs):
            return super().model_forward(input_ids, labels=labels, **kwargs)

    @contextmanager
    def _regularized(
        self, input_ids: torch.Tensor, labels: torch.Tensor, kwargs: dict[str, Any]
    ) -> Iterator[None]:
        """Inside, the model's loss has the regularizer's term in it."""
        kind, config = RegularizerKind(self.regularizer.kind), self.regularizer
        if kind is RegularizerKind.none:
            yield
            return
        # On the CPU, where labels come from, a GPU need not be waited for.
        index = (labels != self.label_ignore_index).flatten().nonzero()[:, 0]
        states: tuple[torch.Tensor, ...] = ()
        if kind is RegularizerKind.kl:
            assert self.reference is not None
            others = {name: value for name, value in kwargs.items() if name not in _OF_THE_LOSS}
            with self._model_forward_context():
                hidden = self.reference.hidden(input_ids, **others)
            states = (hidden.flatten(0, 1)[index.to(hidden.device, non_blocking=True)],)

        def penalty(logits: Logits, hidden: torch.Tensor) -> torch.Tensor:
            def term(*part: torch.Tensor) -> torch.Tensor:
                if self.reference is None or len(part) == 1:
                    return entropy_sum(logits(part[0]))
                return kl_sum(logits(part[0]), self.reference.logits(part[1]))

            with torch.set_grad_enabled(config.weight > 0):
                total = in_chunks(term, config.chunk, hidden, *states)
            assert self._term is not None
            self._term += total.detach() / kwargs["loss_div_factor"]
            if config.weight == 0:
                return torch.zeros_like(total)
            return config.weight * (total if kind is RegularizerKind.kl else -total)

        with penalised_head(self.model.lm_head, index, penalty):
            yield

    def _count(self, batch: dict[str, Any]) -> torch.Tensor:
        """What ``TransformerTrainModule.train_batch`` divides by: a scalar, int64."""
        labels, instance_mask = batch["labels"], batch.get("instance_mask")
        count: torch.Tensor = (labels != self.label_ignore_index).sum()
        if instance_mask is not None:
            count = count + (~instance_mask).sum() * labels.shape[1]
        return count

    def _untrained(self, batch: dict[str, Any]) -> WorkFailed:
        collator = getattr(self.trainer.data_loader, "collator", None)
        if isinstance(collator, AnchorCollator):
            return collator.untrained(batch)
        return WorkFailed(f"no token of a batch is trained, in {name_rows(batch)}")


_OF_THE_LOSS = {
    *("ignore_index", "loss_reduction", "z_loss_multiplier", "loss_div_factor", "return_logits"),
}


def _sum_over_ranks(count: torch.Tensor, device: torch.device) -> int:
    """Ranks of one tensor- or context-parallel group count the same rows: each of them counts, and
    the mean over all ranks is the mean over data-parallel ones."""
    if is_distributed():
        # On the CPU, where labels come from, a GPU need not be waited for.
        count = count.to("cpu" if backend_supports_cpu() else device)
        dist.all_reduce(count)
    return int(count)


@dataclass
class AnchorTrainModuleConfig(TransformerTrainModuleConfig):
    """Builds an :class:`AnchorTrainModule`; the fields are upstream's, but for one."""

    regularizer: RegularizerConfig = field(default_factory=RegularizerConfig)

    def build(
        self, model: Transformer, device: torch.device | None = None, eval_only: bool = False
    ) -> AnchorTrainModule:
        """:raises InputError: with pipeline parallelism, which has a train module of its own; when
        the regularizer is none, or goes with another parallelism of the model.
        """
        if self.pp_config is not None:
            raise InputError(
                "train_module.pp_config: pipeline parallelism divides the loss by each rank's own "
                "count of trained tokens; leave it out, and use dp_config (hsdp, fsdp)"
            )
        self.regularizer.check()
        split = next((name for name in ("tp_config", "cp_config") if getattr(self, name)), None)
        if split is not None and self.regularizer.kind != RegularizerKind.none:
            raise InputError(
                f"train_module.{split}: spreads logits over devices, and a regularizer needs them "
                "whole; leave it out, or set --train_module.regularizer.kind=none"
            )
        kwargs: dict[str, Any] = self.as_dict(exclude_none=True, recurse=False)
        del kwargs["regularizer"]
        if self.autocast_precision is not None:
            kwargs["autocast_precision"] = self.autocast_precision.as_pt()
        for name in ("state_dict_save_opts", "state_dict_load_opts"):
            if name in kwargs:
                kwargs[name] = StateDictOptions(**kwargs[name])
        module = AnchorTrainModule(model=model, device=device, eval_only=eval_only, **kwargs)
        module.regularizer = self.regularizer
        return module
