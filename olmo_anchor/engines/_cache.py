"""A key/value cache with room to grow: transformers' own copies itself for every token."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

__all__ = ["growing_cache"]


class _GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values are views of larger buffers ``[rows, heads, room, head_dim]``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._buffers: list[Any] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if not self._buffers or after > self._buffers[0].shape[-2]:
            room = after + max(32, after // 2)
            self._buffers = [
                new.new_empty(*new.shape[:-2], room, new.shape[-1])
                for new in (key_states, value_states)
            ]
            if before:
                self._buffers[0][..., :before, :] = self.keys
                self._buffers[1][..., :before, :] = self.values
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., before:after, :] = new
        self.keys, self.values = (buffer[..., :after, :] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._buffers = []


def growing_cache(layers: int) -> Any:
    """A ``Cache`` for ``layers`` layers of full attention."""
    return Cache(layers=[_GrowingLayer() for _ in range(layers)])
