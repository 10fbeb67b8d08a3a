"""A miniature grid from nothing to the page, with the commands that a user types."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from olmo_anchor.study.pipeline.commands import REPOSITORY

GRID = """
suite: study_arm
sample: {max_tokens: 12}
annotations: {main: {}}
data: {main: {}}
bases:
  standard: {recipe: story_base_standard}
  annotated: {recipe: story_base_annotated}
sft:
  conversations: 80
  set:
    trainer.max_duration.value: 4
    dataset.selection.split: train
    dataset.selection.held_out: 0.1
    trainer.callbacks.drift.enabled: true
    trainer.callbacks.drift.dataset.selection.held_out: 0.1
methods:
  sft_standard: {base: standard, recipe: story_sft_standard}
  sft_anchored: {base: annotated, recipe: story_sft_anchored}
groups:
  main:
    tests: Whether the study can be run.
    vary: {method: [sft_standard, sft_anchored]}
  other:
    tests: What is trained once is sampled twice; what cannot be trained stops nothing else.
    arms:
      cold: {of: main/sft_anchored, sample: {temperature: 0.5}}
      broken: {method: sft_standard, set: {train_module.optim.lr: -1}}
"""


def study(*words: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "olmo_anchor.cli", "study", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    assert code is None or ended.returncode == code, ended.stderr
    return ended


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def made(out: Path) -> dict[str, int]:
    """When each stage's command was last begun, by its name."""
    logs = out / "seed-0" / "logs"
    return {
        str(path.relative_to(logs)).removesuffix(".made.json"): path.stat().st_mtime_ns
        for path in logs.rglob("*.made.json")
    }


def begun_since(before: dict[str, int], out: Path) -> set[str]:
    return {name for name, when in made(out).items() if before.get(name) != when}


@pytest.mark.slow
def test_a_study_from_nothing_to_its_page(tmp_path: Path) -> None:
    out, grid = tmp_path / "study", tmp_path / "grid.yaml"
    grid.write_text(GRID)
    call = ("run", "--out", out, "--grid", grid, "--documents", 300)

    # Killed while the bases are trained, it goes on where it was.
    argv = [sys.executable, "-m", "olmo_anchor.cli", "study", *map(str, call)]
    killed = subprocess.Popen(
        argv, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stderr=subprocess.DEVNULL
    )
    note = out / "seed-0" / "logs" / "bases" / "annotated.made.json"
    deadline = time.monotonic() + 60
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = made(out)
    ended = study(*call, code=1)
    begun = begun_since(before, out)
    assert "bases/annotated" in begun
    assert not {name for name in begun if name.startswith(("world", "corpus"))}

    # The arm that cannot be trained is told, with its command; the others are done.
    assert "the stage runs/other/broken failed" in ended.stderr
    assert "--train_module.optim.lr=-1" in ended.stderr
    assert "3 left out" in ended.stderr
    arms = ("main/sft_standard", "main/sft_anchored", "other/cold")
    for arm in arms:
        summary = read(out / "seed-0" / "arms" / arm / "summary.json")
        assert list(summary["arms"]) == [arm.rpartition("/")[2]]
        assert summary["arms"][arm.rpartition("/")[2]]["samples"] > 600
    assert not (out / "seed-0" / "models" / "other" / "cold").exists()

    # The page is made from what the runs wrote.
    found = read(out / "study.json")
    losses = (out / "seed-0" / "runs" / "main" / "sft_standard" / "metrics.jsonl").read_text()
    last = [json.loads(line) for line in losses.splitlines() if "drift/text" in line][-1]
    assert last["step"] == 4
    measures = {arm["name"]: arm["measures"] for arm in found["arms"]}
    perplexity = measures["main/sft_standard"]["perplexity.text"]["seeds"]["0"]
    assert math.log(perplexity) == pytest.approx(last["drift/text/CE loss"], abs=1e-5)
    described = {arm["name"]: arm for arm in read(out / "seed-0" / "grid.json")["arms"]}
    assert set(described) == {*arms, "other/broken"}
    assert described["main/sft_anchored"]["run"] == "runs/main/sft_anchored"
    assert described["main/sft_anchored"]["data_entropy_bits"]["topic"] == pytest.approx(
        2.3219, abs=1e-4
    )
    assert described["other/cold"]["of"] == "main/sft_anchored"

    # Another definition of one arm: it alone is made again, beside what failed.
    grid.write_text(GRID.replace("temperature: 0.5", "temperature: 0.6"))
    before = made(out)
    study(*call, code=1)
    assert begun_since(before, out) == {
        "generations/other/cold",
        "arms/other/cold",
        "runs/other/broken",
    }

    # Done: nothing runs, and what was not asked for stays in the list.
    before = made(out)
    study(*call, "--arms", "main")
    assert not begun_since(before, out)
    assert len(read(out / "seed-0" / "grid.json")["arms"]) == 4


def test_what_is_wrong_is_said_before_anything_runs(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(GRID.replace("recipe: story_base_standard", "recipe: story_bass"))
    out = tmp_path / "study"
    ended = study("run", "--out", out, "--grid", grid, code=2)
    assert "bases: standard: recipe: there is no train_configs/story_bass.py" in ended.stderr
    grid.write_text(GRID.replace("suite: study_arm", "suite: study_harm"))
    ended = study("run", "--out", out, "--grid", grid, code=2)
    assert "suite: there is no evals/study_harm.yaml" in ended.stderr
    ended = study("run", "--out", out, "--arms", "mian", code=2)
    assert "--arms mian: no such group or arm" in ended.stderr
    assert not out.exists()
    out.mkdir()
    with FileLock(out / ".lock"):
        ended = study("run", "--out", out, code=2)
    assert "another study run is at work there" in ended.stderr
