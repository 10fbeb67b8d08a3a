"""Metrics on disk, trimmed padding, and what may not change on resume, without training."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from olmo_anchor.errors import InputError
from olmo_anchor.training.callbacks import (
    AnchorStateCallback,
    MetricsFileCallback,
    longest_row,
)


def attached(callback: Any, **trainer: Any) -> Any:
    callback.trainer = SimpleNamespace(**trainer)
    return callback


def test_another_mask_on_resume_is_named() -> None:
    before = AnchorStateCallback({"policy": "full", "seed": 0})
    after = attached(AnchorStateCallback({"policy": "anchored", "seed": 0}), save_folder="runs/x")
    with pytest.raises(InputError, match=r"runs/x .* policy was 'full', now 'anchored'\. Undo"):
        after.load_state_dict(before.state_dict())
    after.load_state_dict(after.state_dict())


def test_metrics_after_the_checkpoint_are_forgotten_on_resume(tmp_path: Path) -> None:
    callback = attached(MetricsFileCallback(), save_folder=str(tmp_path), global_step=0)
    for step in range(1, 6):
        callback.log_metrics(step, {"train/CE loss": 0.5})
    callback.log_metrics(5, {"checkpoint/load_duration_s": 1.0})
    with callback.path.open("a") as file:
        file.write('{"step": 6, "tra')
    resumed = attached(MetricsFileCallback(), save_folder=str(tmp_path), global_step=3)
    resumed.pre_train()
    resumed.log_metrics(4, {"train/CE loss": 0.25})
    lines = [json.loads(line) for line in resumed.path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["train/CE loss"] == 0.25


def test_step_0_stands_in_the_metrics_where_drift_is_measured(tmp_path: Path) -> None:
    callback = attached(MetricsFileCallback(), save_folder=str(tmp_path), global_step=0)
    for metrics in ({"drift/value/CE loss": 2.0}, {"checkpoint/load_duration_s": 1.0}):
        callback.log_metrics(0, metrics)
    callback.log_metrics(1, {"train/CE loss": 0.5})
    assert [json.loads(line)["step"] for line in callback.path.read_text().splitlines()] == [0, 1]
    # Begun anew, without a checkpoint, it measures step 0 again; resumed it does not.
    for step, kept in ((1, [0, 1]), (0, [])):
        again = attached(MetricsFileCallback(), save_folder=str(tmp_path), global_step=step)
        again.pre_train()
        assert [json.loads(line)["step"] for line in again.path.read_text().splitlines()] == kept


def test_the_longest_row_counts_tokens_up_to_the_padding() -> None:
    pad = 6
    ids = torch.tensor([[1, 2, pad, pad, pad], [3, pad, 4, pad, pad]])
    assert longest_row(ids, pad) == 3
    assert longest_row(torch.full((2, 4), pad), pad) == 1
