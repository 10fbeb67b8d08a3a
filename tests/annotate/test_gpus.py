"""Workers of one machine share its GPUs out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from olmo_anchor.annotate import gpus
from olmo_anchor.errors import InputError


def test_each_worker_takes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_held", [])
    # What the cache is for is one process; here one process plays several workers.
    claim = gpus.claim_gpus.__wrapped__
    taken = []
    for _ in range(2):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3,5,GPU-x,7")
        taken.append(claim(tmp_path, 2))
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(taken[-1])
    assert taken == [("0", "3"), ("5", "GPU-x")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3,5,GPU-x,7")
    with pytest.raises(InputError, match="5 GPUs are too few for so many --workers with 2 each"):
        claim(tmp_path, 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert claim(tmp_path, 1) == ()
