"""What a model predicts, without its logits: cross-entropy and entropy, a few positions at a time.

With a vocabulary of 100,000 tokens the logits of a batch, and the copies that a softmax makes of
them, take more memory than training itself. Here no more than ``chunk`` positions of them exist at
one time, and positions that count nothing have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from olmo_core.nn.lm_head import LMHead
from torch.distributed.fsdp import FSDPModule

__all__ = ["scored_head", "scores"]


def scores(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How well the true tokens are predicted, and how open each prediction is.

    :param logits: ``[n, vocabulary]``, of any float type; softmax and sums are in float32.
    :param targets: the true token of each row, int64 ``[n]``.
    :returns: float32 ``[n, 2]``: cross-entropy and entropy, in nats.
    """
    log_p = logits.float().log_softmax(-1)
    cross_entropy = -log_p.gather(-1, targets[:, None])[:, 0]
    entropy = torch.special.entr(log_p.exp_()).sum(-1)
    return torch.stack((cross_entropy, entropy), dim=-1)


@contextmanager
def scored_head(head: LMHead, chunk: int) -> Iterator[None]:
    """Inside, the head answers with :func:`scores` instead of logits or a loss.

    A call with ``labels`` ``[rows, n]`` gives float32 ``[rows, n, 2]``, zero where the label is
    ``ignore_index``. Only ``forward`` is replaced: what FSDP hooks onto the call of the module
    still runs, once a call, however many chunks there are. A head that was compiled runs
    uncompiled.

    :param chunk: positions whose logits exist at one time.
    """
    logits, compiled = head.forward, head._compiled_call_impl

    def forward(
        x: torch.Tensor, *, labels: torch.Tensor, ignore_index: int = -100, **_: Any
    ) -> torch.Tensor:
        counted = labels != ignore_index
        hidden, targets = x[counted], labels[counted]
        scored = x.new_empty((len(targets), 2), dtype=torch.float32)
        for begin in range(0, len(targets), chunk):
            part = slice(begin, begin + chunk)
            answer = logits(hidden[None, part])
            assert isinstance(answer, torch.Tensor)  # without labels there is no loss
            scored[part] = scores(answer[0], targets[part])
        out = x.new_zeros((*labels.shape, 2), dtype=torch.float32)
        out[counted] = scored
        return out

    vars(head)["forward"] = forward
    head._compiled_call_impl = None
    try:
        yield
    finally:
        del vars(head)["forward"]
        head._compiled_call_impl = compiled
        # OLMo-core lets a sharded head stay whole after a forward, as a backward is to follow.
        if isinstance(head, FSDPModule):
            head.reshard()
