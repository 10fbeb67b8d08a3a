"""What a run is laid out for: the one place that asks what the machine can do."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from olmo_core.config import DType
from olmo_core.distributed.parallel import DataParallelType
from olmo_core.nn.attention import AttentionBackendName
from olmo_core.train.train_module import TransformerDataParallelConfig

__all__ = ["Hardware"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """The processes of a run and what each of them computes on.

    :param ranks: processes, one for each GPU.
    :param gpu: whether they compute on GPUs.
    :param attention: the fastest backend for them.
    """

    ranks: int = 1
    gpu: bool = False
    attention: AttentionBackendName = AttentionBackendName.torch

    @classmethod
    def here(cls) -> Hardware:
        """This machine, and as many ranks as torchrun started."""
        gpu = torch.cuda.is_available()
        return cls(_world_size(), gpu, _fastest() if gpu else AttentionBackendName.torch)

    @classmethod
    def planned(cls, gpus: int) -> Hardware:
        """So many H100s with flash attention, wherever this is asked."""
        return cls(gpus, True, AttentionBackendName.flash_2)

    @property
    def separates_documents(self) -> bool:
        """Whether documents in one row can be kept from seeing each other: OLMo-core's torch
        backend takes no document lengths."""
        return self.attention is not AttentionBackendName.torch

    def data_parallel(self) -> TransformerDataParallelConfig:
        """How recipes spread a batch over ranks: HSDP, computing in bfloat16 on GPUs."""
        return TransformerDataParallelConfig(
            name=DataParallelType.hsdp, param_dtype=DType.bfloat16 if self.gpu else None
        )


def _world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _fastest() -> AttentionBackendName:
    for backend in (AttentionBackendName.flash_3, AttentionBackendName.flash_2):
        try:
            backend.assert_supported()  # type: ignore[no-untyped-call]
        except RuntimeError:
            continue
        return backend
    return AttentionBackendName.torch
