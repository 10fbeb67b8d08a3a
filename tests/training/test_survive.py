"""Runs that are stopped, killed or run out of disk go on as if nothing had been."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.training.conftest import Corpus
from tests.training.launching import (
    assert_equal,
    checkpoints,
    command,
    environment,
    launch,
    losses,
    weights,
)

pytestmark = pytest.mark.slow

# 25 steps an epoch: the second begins behind a checkpoint.
EPOCHS = "--trainer.max_duration={value: 2, unit: epochs}"
PART = "model_and_optim/__0_3.distcp"

Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def start(prose: Corpus) -> Start:
    return partial(launch, "story_base_annotated", prose)


@pytest.fixture(scope="module")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = start(folder, EPOCHS)
    assert done.returncode == 0, done.stderr
    assert sorted(losses(folder)) == [*range(1, 51)]
    assert checkpoints(folder) == [45, 50]
    return folder


@pytest.mark.parametrize(
    ("event", "place", "left"),
    [
        # While the weights of step 10 are written: under another name.
        ("open", "step10-tmp/model_and_optim", {"step5", "step10-tmp"}),
        # When they are all there, before .metadata.json says so.
        ("tempfile.mkstemp", "step10/", {"step5", "step10"}),
        # When the first of three checkpoints is deleted.
        ("os.remove", "rank0.pt", {"step5", "step10", "step15"}),
        # When everything is done but the manifest.
        ("open", "run/.manifest.json", {"step45", "step50"}),
    ],
    ids=["writing", "written", "deleting", "finished"],
)
def test_killed(
    event: str, place: str, left: set[str], start: Start, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    killed = start(run, EPOCHS, fault={"event": event, "path": place, "signal": "SIGKILL"})
    assert killed.returncode == -9, killed.stderr
    assert left <= {path.name for path in run.glob("step*")}
    done = start(run, EPOCHS)
    assert done.returncode == 0, done.stderr
    assert_equal(run, whole)
    assert checkpoints(run) == [45, 50]


def test_told_to_stop_it_saves_and_says_how_to_go_on(
    start: Start, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fault = {"event": "open", "path": "step15-tmp", "signal": "SIGTERM"}
    stopped = start(run, EPOCHS, fault=fault)
    assert stopped.returncode == 1
    assert f"Error: {run}: stopped at step 20; the same command goes on" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert max(losses(run)) == 20
    assert start(run, EPOCHS).returncode == 0
    assert_equal(run, whole)


@pytest.mark.parametrize(
    ("event", "place", "told"),
    [
        ("open", "documents-", "SIGTERM before it trained; the same command goes on"),
        # The second signal comes while it saves because of the first.
        ("open", "step7-tmp", "finished"),
    ],
    ids=["before", "saving"],
)
def test_a_signal_outside_of_training(
    event: str, place: str, told: str, start: Start, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fault = {"event": event, "path": place, "signal": "SIGTERM"}
    steps = "--trainer.max_duration={value: 7, unit: steps}"
    stopped = start(run, steps, fault=fault)
    assert told in stopped.stdout + stopped.stderr
    assert stopped.returncode == (0 if told == "finished" else 1)
    assert "Traceback" not in stopped.stderr
    again = start(run, steps)
    assert again.returncode == 0
    assert sorted(losses(run)) == [1, 2, 3, 4, 5, 6, 7]


def test_an_anchored_run_on_shuffled_conversations_survives_too(
    chat: Corpus, tmp_path: Path
) -> None:
    start = partial(launch, "story_sft_anchored", chat)
    steps = "--trainer.max_duration={value: 22, unit: steps}"  # eight to an epoch
    one, two = tmp_path / "one", tmp_path / "two"
    assert start(one, steps).returncode == 0
    fault = {"event": "open", "path": "step10-tmp/model_and_optim", "signal": "SIGKILL"}
    assert start(two, steps, fault=fault).returncode == -9
    assert start(two, steps).returncode == 0
    assert_equal(two, one)


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_file_that_may_not_grow_leaves_the_checkpoints_before(
    start: Start, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert start(run, EPOCHS, "--trainer.hard_stop={value: 7, unit: steps}").returncode == 0
    assert checkpoints(run) == [5, 7]
    before = weights(run / "step7")
    full = start(run, EPOCHS, preexec_fn=partial(limit_files, 200_000))
    assert full.returncode == 1
    said = full.stderr.splitlines()[-1]
    assert said.startswith(f"Error: {run}: the checkpoint of step 10 could not be written: ")
    assert "File too large" in said
    assert "GB free there" in said
    assert "the same command goes on" in said
    assert "Traceback" not in full.stderr
    assert checkpoints(run) == [5, 7]
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(run / "step7").items())
    assert start(run, EPOCHS).returncode == 0
    assert_equal(run, whole)


FULL_DISK = """
set -u
mount -t tmpfs -o size=16m none "$DISK" || exit 77
head -c 10500000 /dev/zero >"$DISK/ballast"
"$@"; echo "first $?"; ls "$DISK/run"
rm "$DISK/ballast"
"$@"; echo "second $?"
cp -r "$DISK/run" "$OUT"
"""


def test_a_full_disk(prose: Corpus, whole: Path, tmp_path: Path) -> None:
    """On a file system of its own, which lives as long as the shell that mounted it."""
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    words = command("story_base_annotated", prose, disk / "run", EPOCHS)
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh", *words],
        env={**environment(), "DISK": str(disk), "OUT": str(out)},
        capture_output=True,
        text=True,
    )
    if done.returncode in (1, 77) and "first" not in done.stdout:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    print(done.stdout, done.stderr)
    assert "first 1" in done.stdout
    assert "step5\n" in done.stdout
    assert "the checkpoint of step 10 could not be written: [Errno 28] No space left" in done.stderr
    assert "(0.0 GB free there)" in done.stderr
    assert "second 0" in done.stdout
    assert_equal(out, whole)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize("name", [PART, "model_and_optim/.metadata", "train/rank0.pt"])
def test_a_damaged_checkpoint_is_passed_over(
    name: str, start: Start, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert start(run, EPOCHS, "--trainer.hard_stop={value: 12, unit: steps}").returncode == 0
    assert checkpoints(run) == [10, 12]
    cut(run / "step12" / name)
    done = start(run, EPOCHS)
    assert done.returncode == 0
    assert f"note: {run}/step12: damaged: {name}" in done.stderr
    assert "goes on from step10" in done.stderr
    assert_equal(run, whole)


def test_damaged_checkpoints_alone_are_not_begun_over(start: Start, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert start(run, EPOCHS, "--trainer.hard_stop={value: 3, unit: steps}").returncode == 0
    (run / "step3" / PART).unlink()
    again = start(run, EPOCHS)
    assert again.returncode == 1
    assert f"{run}/step3: damaged: {PART} has 0 of" in again.stderr
    assert "Traceback" not in again.stderr
    assert max(losses(run)) == 3
