"""Runs of torchrun go on when it is stopped, when a rank dies, and with another number of ranks."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.training.conftest import Corpus
from tests.training.launching import assert_equal, checkpoints, launch, losses, weights

pytestmark = pytest.mark.slow

STEPS = "--trainer.max_duration={value: 30, unit: steps}"  # 25 to an epoch
DYING = {
    **{"event": "open", "path": "step10-tmp/model_and_optim"},
    **{"signal": "SIGKILL", "rank": "1"},
}


@pytest.fixture(scope="module")
def whole(prose: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two ranks that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = launch("story_base_annotated", prose, folder, STEPS, processes=2)
    assert done.returncode == 0, done.stderr
    assert sorted(losses(folder)) == [*range(1, 31)]
    return folder


def test_torchrun_is_told_to_stop(prose: Corpus, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    start = partial(launch, "story_base_annotated", prose, run, STEPS, processes=2)
    fault = {"event": "open", "path": "step10-tmp", "signal": "SIGTERM", "to": "parent"}
    stopped = start(fault=fault)
    assert stopped.returncode == 1
    assert f"Error: {run}: stopped at step " in stopped.stderr
    assert stopped.stderr.count("the same command goes on") == 1
    last = max(losses(run))
    assert last in (10, 20)
    assert checkpoints(run)[-1] == last
    assert start().returncode == 0
    assert_equal(run, whole)


def test_a_rank_is_killed_while_it_saves(prose: Corpus, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    start = partial(launch, "story_base_annotated", prose, run, STEPS, processes=2)
    killed = start(fault=DYING)
    assert killed.returncode == 1
    assert "exitcode  : -9" in killed.stderr
    assert checkpoints(run) == [5]
    assert start().returncode == 0
    assert_equal(run, whole)


def test_torchrun_starts_the_ranks_again_itself(prose: Corpus, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    start = partial(launch, "story_base_annotated", prose, run, STEPS, processes=2)
    done = start(torchrun=["--max-restarts=1"], fault=DYING)
    assert done.returncode == 0, done.stderr
    assert "(exitcode: -9) local_rank: 1" in done.stderr
    assert f"{run}: finished, 30 steps" in done.stdout
    assert_equal(run, whole)


def test_a_node_comes_back_with_another_number_of_ranks(chat: Corpus, tmp_path: Path) -> None:
    """Shuffled conversations under sparse masks, over almost three epochs of eight steps."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    steps = "--trainer.max_duration={value: 22, unit: steps}"
    assert launch("story_sft_anchored", chat, whole, steps).returncode == 0
    start = partial(launch, "story_sft_anchored", chat, run, steps)
    for processes, stop in ((1, 7), (2, 13), (1, 22)):
        done = start(f"--trainer.hard_stop={{value: {stop}, unit: steps}}", processes=processes)
        assert done.returncode == 0, done.stderr
        assert max(losses(run)) == stop
    # The same documents in every step: only the order of summation differs.
    assert losses(run) == pytest.approx(losses(whole), abs=1e-4)
    ours, theirs = weights(run / "step22"), weights(whole / "step22")
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-4) for name in theirs)
    assert json.loads((run / "manifest.json").read_text())["extra"]["processes"] == 1
