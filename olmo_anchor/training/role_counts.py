"""What the loss of each step is made of: trained tokens by role, documents by what they train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from olmo_core.data.utils import get_labels
from olmo_core.train.callbacks import Callback
from olmo_core.train.common import ReduceType

from olmo_anchor.policy import value_only_tokens
from olmo_anchor.spans import ROLE_NAMES, roles
from olmo_anchor.training.collator import AnchorCollator

__all__ = ["RoleCountsCallback", "role_counts"]

_IGNORED = -100


@dataclass
class RoleCountsCallback(Callback):
    """Records :func:`role_counts` of every step as ``trained/...``, summed over ranks.

    Needs an :class:`AnchorCollator` on the loader; without one nothing is recorded.
    """

    enabled: bool = True

    def pre_step(self, batch: dict[str, Any]) -> None:
        collator = getattr(self.trainer.data_loader, "collator", None)
        if not self.enabled or not isinstance(collator, AnchorCollator):
            return
        for name, count in role_counts(batch, collator).items():
            # A tensor becomes float32, exact up to 2^24. A number would become float64, and with it
            # the losses of the ranks, which are summed in one tensor: they would round otherwise.
            value = torch.tensor(count)
            self.trainer.record_metric(name, value, ReduceType.sum, namespace="trained")


def role_counts(batch: dict[str, Any], collator: AnchorCollator) -> dict[str, int]:
    """What of a batch is trained, as the loss sees it: the first token of a row never is.

    A document ends with its end-of-text token or with its row; padding is none.

    :param batch: as ``collator`` made it, on the CPU.
    :returns: ``ROLE tokens`` for every role, ``documents``, ``documents without targets`` and
        ``value-only documents`` (those in which an anchored policy masks the values alone).
    """
    ids, control = batch["input_ids"].numpy(), collator.control
    trained = np.zeros(ids.shape, bool)
    trained[:, 1:] = (get_labels(batch, label_ignore_index=_IGNORED) != _IGNORED).numpy()[:, :-1]
    role_ids = batch["role_ids"].numpy() if "role_ids" in batch else roles(ids, control)
    counts = np.bincount(role_ids[trained], minlength=len(ROLE_NAMES)).tolist()

    begins = np.ones(ids.shape, bool)
    begins[:, 1:] = np.isin(ids[:, :-1], (control.end_of_text, collator.pad_token_id))
    begins &= ids != collator.pad_token_id
    # Padding after a document is counted with it, and never trained.
    by_document = np.add.reduceat(trained.ravel(), np.flatnonzero(begins), dtype=np.int64)
    value_only = 0
    if collator.policy.has_value_only and collator.value_only_fraction > 0:
        chosen = value_only_tokens(
            ids, control, fraction=collator.value_only_fraction, seed=collator.seed
        )
        value_only = int((chosen & begins).sum())
    return {
        **{f"{name} tokens": count for name, count in zip(ROLE_NAMES, counts, strict=True)},
        "documents": len(by_document),
        "documents without targets": int((by_document == 0).sum()),
        "value-only documents": value_only,
    }
