"""Every full-size recipe, in its tiny size, trains on a CPU from files that the commands made."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from olmo_anchor.manifest import read_manifest
from olmo_anchor.training.export import ExportConfig
from tests.training.test_full_size import NAMES, RECIPES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story world of 120 documents, tokenized, annotated and overlaid as a user does it."""
    root = tmp_path_factory.mktemp("world")
    world = root / "world"
    run("study", "world", "--out", world, "--documents", 120)
    for prefix, source, truth, chat in (
        ("", "documents", "truth", ()),
        ("sft_", "conversations", "conversations_truth", ("--chat",)),
    ):
        tokens, notes = root / f"{prefix}tokens", root / f"{prefix}annotations"
        tokenizer = ("--tokenizer", world / "tokenizer.json")
        run("tokenize", world / f"{source}.jsonl", *tokenizer, *chat, "--out", tokens)
        oracle = ("--annotator", "oracle", "--annotations", world / f"{truth}.jsonl")
        run("annotate", tokens, *oracle, "--schema", world / "schema.json", "--out", notes)
        run("overlay", tokens, notes, "--out", root / f"{prefix}overlay")
    return root


def run(*words: object) -> None:
    command = [sys.executable, "-m", "olmo_anchor.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def train(
    name: str, files: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *words: object
) -> dict[str, object]:
    """The recipe's command in this process; its run's manifest."""
    prefix = "sft_" if "sft" in name else ""
    argv = [
        *(f"{name}.py", "--size", "tiny", "--save-folder", out),
        *("--tokens", files / f"{prefix}tokens", "--overlay", files / f"{prefix}overlay"),
        *("--trainer.metrics_collect_interval=1", *words),
    ]
    monkeypatch.syspath_prepend(RECIPES)
    monkeypatch.setattr(sys, "argv", [*map(str, argv)])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(RECIPES / f"{name}.py"), run_name="__main__")
    assert exit.value.code == 0
    return read_manifest(out, "run").counts


@pytest.fixture(scope="module")
def bases(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("bases")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for arm in ("standard", "annotated"):
            train(f"pretrain_1b_{arm}", files, out / arm, monkeypatch)
    return {arm: out / arm for arm in ("standard", "annotated")}


@pytest.mark.parametrize("name", [name for name in NAMES if "sft" not in name])
def test_pretraining(
    name: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = train(name, files, tmp_path / "run", monkeypatch)
    # 16,384 tokens in batches of 8 rows of 256, in both arms.
    assert counts["steps"] == 8
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == [*range(1, 9)]
    assert lines[-1]["train/CE loss"] < lines[0]["train/CE loss"]


def test_pretraining_measures_drift_on_a_corpus_that_is_named(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift = "--trainer.callbacks.drift"
    source = f"{drift}.dataset.sources.0"
    named = (f"{source}.tokens={files}/sft_tokens", f"{source}.overlay={files}/sft_overlay")
    words = (f"{drift}.enabled=true", *named, "--budget", "6e3")
    train("pretrain_1b_annotated", files, tmp_path / "run", monkeypatch, *words)
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [line["step"] for line in metrics if "drift/value/entropy" in line] == [0, 3]
    assert metrics[3]["drift/text/CE loss change"] < 0


@pytest.mark.parametrize("name", [name for name in NAMES if "sft" in name])
def test_post_training(
    name: str,
    files: Path,
    bases: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = bases["annotated" if name.endswith("anchored") else "standard"]
    stop = "--trainer.max_duration={value: 4, unit: steps}"
    counts = train(name, files, tmp_path / "run", monkeypatch, "--load-path", base, stop)
    assert counts["steps"] == 4
    assert counts["other_split"] > 0  # held out
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [line["step"] for line in metrics] == [*range(5)]
    assert {"drift/text/CE loss", "drift/text/CE loss change"} <= set(metrics[4])
    anchored = "drift/value/CE loss change" in metrics[4]
    assert anchored == ("standard" not in name or "from_standard" in name)
    # Eight conversations a step; what they train of an annotation is the arm's.
    assert all(line["trained/documents"] == 8 for line in metrics[1:])
    trains_values = any(line["trained/value tokens"] > 0 for line in metrics[1:])
    assert trains_values == ("from_standard" in name)


def test_a_sweep_chooses_by_held_out_loss(
    files: Path, bases: dict[str, Path], tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "olmo_anchor.cli", "sweep", RECIPES / "sft_1b_anchored.py"),
        *("--lr", "1e-9", "1e-2", "--share", "1/2", "--size", "tiny", "--out", tmp_path / "sweep"),
        *("--tokens", files / "sft_tokens", "--overlay", files / "sft_overlay"),
        *("--load-path", bases["annotated"], "--trainer.max_duration={value: 4, unit: steps}"),
    ]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    still, moved = stored["runs"]
    # A rate of nothing learns nothing, and moves nothing.
    assert abs(still["value_drift"]) < 1e-4 < abs(moved["value_drift"])
    assert moved["held_out_loss"] < still["held_out_loss"]
    assert [run["name"] for run in stored["best"]] == [moved["name"]]
    again = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert again.returncode == 0
    assert again.stdout.count("finished already") == 2


def test_annealing_starts_from_a_hugging_face_model(
    files: Path, bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ExportConfig(checkpoint=bases["standard"], out=tmp_path / "hf").run()
    words = ("--load-path", tmp_path / "hf", "--trainer.max_duration={value: 3, unit: steps}")
    train("anneal_olmo2_1b_annotated", files, tmp_path / "run", monkeypatch, *words)
    ended = (bases["standard"] / "metrics.jsonl").read_text().splitlines()[-1]
    began = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0]
    # What is read now has annotations too: not the same loss, but no untrained model's either.
    untrained = (bases["standard"] / "metrics.jsonl").read_text().splitlines()[0]
    losses = [json.loads(line)["train/CE loss"] for line in (ended, began, untrained)]
    assert losses[1] < losses[2]
