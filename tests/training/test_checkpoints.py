"""Which checkpoints of a folder are whole, and which are kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from olmo_core.distributed.checkpoint import save_state_dict
from olmo_core.train import Checkpointer
from olmo_core.train.callbacks import CheckpointerCallback

from olmo_anchor.errors import WorkFailed
from olmo_anchor.training.checkpointer import AnchorCheckpointerCallback
from olmo_anchor.training.checkpoints import cannot_write, damage, last_whole, remove_torn


def save(folder: Path, step: int, ephemeral: bool = False) -> Path:
    """What a run writes, of a model of 300 weights."""
    checkpoint = folder / f"step{step}"
    tensors = {name: torch.arange(100.0) for name in ("one", "two", "three")}
    save_state_dict(str(checkpoint / "model_and_optim"), tensors, thread_count=2)
    (checkpoint / "train").mkdir()
    torch.save({"global_step": step}, checkpoint / "train" / "rank0.pt")
    (checkpoint / ".metadata.json").write_text(f'{{"ephemeral": {str(ephemeral).lower()}}}')
    return checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("saved"), 5)


FILES = [
    *("model_and_optim/.metadata", "model_and_optim/__0_0.distcp", "model_and_optim/__0_1.distcp"),
    "train/rank0.pt",
]


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(FILES), share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_found(
    name: str, share: float, saved: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert damage(saved) is None
    copy = tmp_path_factory.mktemp("cut") / "step5"
    shutil.copytree(saved, copy)
    size = (copy / name).stat().st_size
    with (copy / name).open("rb+") as file:
        file.truncate(int(size * share))
    found = damage(copy)
    assert found is not None
    assert name in found


def test_a_file_that_is_gone_is_found(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "step5")
    path = tmp_path / "step5" / FILES[1]
    size = path.stat().st_size
    path.unlink()
    assert damage(tmp_path / "step5") == f"{FILES[1]} has 0 of {size:,} bytes"


def test_the_last_whole_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert last_whole(tmp_path) is None
    # By number, not by name.
    for step in (5, 10, 20, 100):
        save(tmp_path, step)
    assert last_whole(tmp_path) == tmp_path / "step100"
    assert capsys.readouterr().err == ""
    (tmp_path / "step100" / ".metadata.json").unlink()  # never finished: nothing to be said
    (tmp_path / "step20" / FILES[1]).write_bytes(b"")
    assert last_whole(tmp_path) == tmp_path / "step10"
    said = capsys.readouterr().err
    assert said.startswith(f"note: {tmp_path}/step20: damaged: {FILES[1]} has 0 of ")
    assert said.endswith("; goes on from step10\n")
    for step in (5, 10):
        (tmp_path / f"step{step}" / "train" / "rank0.pt").write_bytes(b"")
    with pytest.raises(WorkFailed, match=r"step10: damaged: train/rank0.pt is cut short; .*step5"):
        last_whole(tmp_path)


def test_only_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    for step in (5, 10, 15, 20):
        save(tmp_path, step)
    for step in (5, 20):
        (tmp_path / f"step{step}" / ".metadata.json").unlink()
    for name in ("step20-tmp", "step7-tmp", "steps", "step5-mine", "hf"):
        (tmp_path / name).mkdir()
    remove_torn(tmp_path, tmp_path / "step15")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"step10", "step15", "step20", "steps", "step5-mine", "hf"}


def attach(callback: CheckpointerCallback, folder: Path, step: int) -> Any:
    trainer = SimpleNamespace(
        save_folder=str(folder),
        global_step=step,
        checkpoint_loaded=True,
        checkpointer=Checkpointer(work_dir=folder),
    )
    callback.trainer = trainer  # type: ignore[assignment]
    callback.pre_train()  # type: ignore[no-untyped-call]
    return callback


def test_checkpoints_from_before_a_restart_count(tmp_path: Path) -> None:
    for step in (10, 20, 100):
        save(tmp_path, step)
    save(tmp_path, 24, ephemeral=True)
    save(tmp_path, 25)
    names = [str(tmp_path / f"step{step}") for step in (10, 20, 24, 25)]
    options: dict[str, Any] = {"save_interval": 10, "ephemeral_save_interval": 4}
    ours = attach(AnchorCheckpointerCallback(save_async=False, **options), tmp_path, step=25)
    # That of step 100 was damaged, or the run would be there.
    assert ours._checkpoints == [names[0], names[1], names[3]]
    assert ours._ephemeral_checkpoints == [names[2]]
    assert ours._latest_checkpoint_step == 25
    # The fault upstream: none counts, and step 25 is deleted and written again.
    theirs = attach(CheckpointerCallback(save_async=False, **options), tmp_path, step=25)
    assert (theirs._checkpoints, theirs._latest_checkpoint_step) == ([], -1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (
            RuntimeError(
                "CheckpointException ranks:dict_keys([0])\nTraceback (most recent call last):\n"
                "OSError: [Errno 122] Disk quota exceeded\n\nDuring handling ...\nRuntimeError: x"
            ),
            "[Errno 122] Disk quota exceeded",
        ),
        (RuntimeError("first line\nsecond"), "RuntimeError: first line"),
    ],
)
def test_what_could_not_be_written(error: Exception, reason: str, tmp_path: Path) -> None:
    said = str(cannot_write(tmp_path, "the checkpoint of step 9", error))
    assert said.startswith(f"{tmp_path}: the checkpoint of step 9 could not be written: {reason} (")
    assert "GB free there" in said
    assert "the same command goes on" in said
