"""Terms beside the cross-entropy that hold a model's predictions open: baselines to anchoring.

``kl``
    adds the divergence of the model's prediction from that of a frozen copy of the model that the
    run started from, KL(model || reference): the penalty of RLHF (Ziegler et al. 2019, arXiv
    1909.08593), put on supervised fine-tuning. In this direction it costs to say what the reference
    would not; to leave out some of what it would say costs less than in the other.
``entropy``
    subtracts the entropy of the model's prediction: the confidence penalty of Pereyra et al. (2017,
    arXiv 1701.06548).

Both are means over the trained tokens of the global batch, exact over the vocabulary. Logits that
they need exist for ``chunk`` positions at a time, and are made again for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import torch
from olmo_core.config import Config
from olmo_core.nn.lm_head import LMHead, LMOutputWithLoss
from olmo_core.nn.transformer import Transformer
from torch import nn
from torch.utils.checkpoint import checkpoint

from olmo_anchor.errors import InputError

__all__ = [
    "Logits",
    "Penalty",
    "Reference",
    "RegularizerConfig",
    "RegularizerKind",
    "entropy_sum",
    "in_chunks",
    "kl_sum",
    "penalised_head",
]

Logits = Callable[[torch.Tensor], torch.Tensor]
"""From hidden states ``[n, d]`` to ``[n, vocabulary]``."""

Penalty = Callable[[Logits, torch.Tensor], torch.Tensor]
"""From the head and the hidden states of the trained positions to what is added to the summed loss,
a scalar."""


class RegularizerKind(StrEnum):
    none = "none"
    kl = "kl"
    entropy = "entropy"


@dataclass
class RegularizerConfig(Config):
    """What is added to the loss of each trained token; ``train/KL`` or ``train/entropy`` tells how
    large it is, in nats and without the weight."""

    kind: RegularizerKind = RegularizerKind.none
    weight: float = 0.0
    """0 measures the term and trains as without it, to the bit."""
    chunk: int = 1024
    """Positions whose logits exist at one time."""

    def check(self) -> None:
        """:raises InputError: naming the setting that is none."""
        if not (self.weight >= 0 and self.chunk >= 1):
            raise InputError(
                f"train_module.regularizer: weight is {self.weight} and chunk {self.chunk}; "
                "they are at least 0 and 1"
            )


class Reference:
    """A frozen model whose head is asked apart, for a few positions at a time.

    :param model: on its device; it is taken over.
    :param dtype: what it computes in.
    """

    def __init__(self, model: Transformer, dtype: torch.dtype) -> None:
        self._model = model.eval().requires_grad_(False).to(dtype)
        self._head = model.lm_head
        model.lm_head = _Through()  # type: ignore[assignment]

    @torch.no_grad()
    def hidden(self, input_ids: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """What comes before the head: ``[rows, n, d]``.

        :param kwargs: of the model's forward, such as the lengths of documents.
        """
        return cast(torch.Tensor, self._model(input_ids, **kwargs))

    @torch.no_grad()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """``[n, vocabulary]`` of hidden states ``[n, d]``."""
        return cast(torch.Tensor, self._head(hidden[None]))[0]


class _Through(nn.Module):
    def forward(self, x: torch.Tensor, **_: Any) -> torch.Tensor:
        return x


def kl_sum(logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """KL(model || reference) in nats, summed over the positions: a float32 scalar.

    :param logits: of the model, ``[n, vocabulary]``, of any float type.
    :param reference: those of the reference, likewise.
    """
    log_p, log_q = logits.float().log_softmax(-1), reference.float().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum()


def entropy_sum(logits: torch.Tensor) -> torch.Tensor:
    """The entropy of the prediction in nats, summed over the positions: a float32 scalar.

    :param logits: ``[n, vocabulary]``, of any float type.
    """
    log_p = logits.float().log_softmax(-1)
    return -(log_p.exp() * log_p).sum()


def in_chunks(term: Callable[..., torch.Tensor], chunk: int, *hidden: torch.Tensor) -> torch.Tensor:
    """The sum of ``term`` over chunks of positions; what it makes is made again for the backward.

    :param hidden: tensors ``[n, ...]`` that are cut alike.
    """
    parts = zip(*(torch.split(states, chunk) for states in hidden), strict=True)
    sums = [
        checkpoint(term, *part, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]
    return torch.stack(sums).sum()


@contextmanager
def penalised_head(head: LMHead, index: torch.Tensor, penalty: Penalty) -> Iterator[None]:
    """Inside, what ``penalty`` gives is added to the loss of the head; the reported cross-entropy
    stays.

    As in :func:`~olmo_anchor.training.scored_head.scored_head` only ``forward`` is replaced: what
    FSDP hooks onto the call of the module still runs. A compiled head runs uncompiled.

    :param index: int64 ``[n]``, the trained positions in the rows laid end to end.
    """
    forward, compiled = head.forward, head._compiled_call_impl

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        answer = forward(hidden[None])
        assert isinstance(answer, torch.Tensor)  # without labels there is no loss
        return answer[0]

    def with_penalty(x: torch.Tensor, **kwargs: Any) -> LMOutputWithLoss:
        output = forward(x, **kwargs)
        assert isinstance(output, LMOutputWithLoss)
        added = penalty(logits, x.flatten(0, 1)[index.to(x.device, non_blocking=True)])
        return output._replace(loss=output.loss + added / kwargs["loss_div_factor"])

    vars(head)["forward"] = with_penalty
    head._compiled_call_impl = None
    try:
        yield
    finally:
        del vars(head)["forward"]
        head._compiled_call_impl = compiled
