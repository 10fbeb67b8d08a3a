"""GPUs for the workers of one machine: each takes some that no other has, and keeps them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from olmo_anchor.errors import InputError

__all__ = ["claim_gpus"]

_held: list[FileLock] = []


@cache
def claim_gpus(folder: Path, each: int) -> tuple[str, ...]:
    """Make ``each`` GPUs the only ones that this process sees, until it ends.

    :param folder: where the locks lie; the workers of a job share it.
    :returns: their names in ``CUDA_VISIBLE_DEVICES``; none on a machine without GPUs.
    :raises InputError: when all are taken.
    """
    visible = _visible()
    if not visible:
        return ()
    for first in range(0, len(visible) - each + 1, each):
        lock = FileLock(folder / f"gpu-{visible[first]}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        _held.append(lock)
        mine = visible[first : first + each]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        return mine
    raise InputError(
        f"{len(visible)} GPUs are too few for so many --workers with {each} each; give fewer"
    )


def _visible() -> tuple[str, ...]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name for name in named.split(",") if name.strip())
    import torch

    return tuple(map(str, range(torch.cuda.device_count())))
