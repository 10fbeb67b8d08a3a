"""Sweeps: which runs there are, which is best, and what a scheduler's runs give."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import Manifest, read_manifest
from olmo_anchor.training.sweep import HELD_OUT_LOSS, Result, SweepConfig, best
from tests.training.conftest import Corpus

RECIPE = Path(__file__).parents[2] / "train_configs" / "sft_1b_anchored.py"


def config(out: Path, **given: object) -> SweepConfig:
    return SweepConfig(recipe=RECIPE, out=out, tokens="T", **given)  # type: ignore[arg-type]


def result(name: str, loss: float, share: float | None = None) -> Result:
    return Result(name, None, share, 4, loss, None, f"runs/{name}")


def test_every_combination_is_the_recipes_own_command(tmp_path: Path) -> None:
    shares = (Fraction(1, 64), Fraction(1))
    swept = config(
        tmp_path, overlay="O", load_path="L", lr=(1e-5, 2e-5), share=shares, nproc=8, seed=3,
        overrides=("--trainer.x=1",),
    )  # fmt: skip
    found = {one.name: one.command for one in swept.candidates()}
    assert list(found) == [
        *("lr-1e-05-share-1of64", "lr-1e-05-share-1of1"),
        *("lr-2e-05-share-1of64", "lr-2e-05-share-1of1"),
    ]
    assert found["lr-2e-05-share-1of64"] == (
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=8"),
        *(str(RECIPE), "--tokens", "T", "--overlay", "O", "--load-path", "L"),
        *("--save-folder", str(tmp_path / "lr-2e-05-share-1of64"), "--seed", "3"),
        *("--train_module.optim.lr=2e-05", "--dataset.selection.share=0.015625"),
        *("--trainer.callbacks.drift.enabled=true", "--trainer.x=1"),
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "nothing is varied"),
        ({"lr": (1e-5, 0.00001)}, "lr-1e-05: named twice"),
        ({"lr": (1.0,), "recipe": Path("nowhere.py")}, "nowhere.py: no such recipe"),
    ],
)
def test_what_cannot_be_swept(given: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        SweepConfig(**{"recipe": RECIPE, "out": tmp_path, "tokens": "T", **given}).candidates()  # type: ignore[arg-type]


def test_the_best_has_the_lowest_loss_of_its_share() -> None:
    runs = [result("a", 2.0), result("b", 1.5), result("c", math.nan), result("d", math.inf)]
    assert [one.name for one in best(runs)] == ["b"]
    runs = [result("a", 2.0, 0.5), result("b", 1.5, 1.0), result("c", 1.9, 0.5)]
    assert [one.name for one in best(runs)] == ["c", "b"]
    assert best([result("a", math.nan)]) == []


def finished(folder: Path, losses: list[float | None]) -> None:
    """What of a run's folder a sweep reads: a held-out loss every other step."""
    folder.mkdir(parents=True)
    with (folder / "metrics.jsonl").open("w") as file:
        for step, loss in enumerate(losses):
            drift = (
                {} if loss is None else {HELD_OUT_LOSS: loss, "drift/value/CE loss change": 0.25}
            )
            file.write(json.dumps({"step": step, "train/CE loss": 1.0, **drift}) + "\n")
    Manifest("run", [], {}, {"steps": len(losses) - 1}, []).write(folder)


def collect(out: Path) -> object:
    words = ["sweep", str(RECIPE), "--lr", "1e-5", "2e-5", "5e-5", "--tokens", "T"]
    return CliRunner().invoke(cli, [*words, "--out", str(out), "--collect"])


def test_runs_made_elsewhere_are_collected(tmp_path: Path) -> None:
    finished(tmp_path / "lr-1e-05", [3.0, None, 2.5])
    finished(tmp_path / "lr-2e-05", [3.0, None, 2.25])
    unfinished = collect(tmp_path)
    assert isinstance(unfinished.exception, WorkFailed)  # type: ignore[attr-defined]
    assert "2 of 3 runs have ended; not lr-5e-05" in str(unfinished.exception)  # type: ignore[attr-defined]
    assert not (tmp_path / "sweep.json").exists()
    finished(tmp_path / "lr-5e-05", [3.0, None, math.nan])
    done = collect(tmp_path)
    assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
    assert f"best: {tmp_path}/lr-2e-05" in done.output  # type: ignore[attr-defined]
    stored = json.loads((tmp_path / "sweep.json").read_text())
    assert [run["held_out_loss"] for run in stored["runs"]] == [2.5, 2.25, None]
    assert stored["best"][0]["lr"] == 2e-5
    assert stored["best"][0]["value_drift"] == 0.25
    assert read_manifest(tmp_path, "sweep").counts == {"runs": 3, "diverged": 1}


def test_a_run_without_a_held_out_loss_is_named(tmp_path: Path) -> None:
    for lr in ("1e-05", "2e-05", "5e-05"):
        finished(tmp_path / f"lr-{lr}", [None, None])
    done = collect(tmp_path)
    assert isinstance(done.exception, InputError)  # type: ignore[attr-defined]
    assert "lr-1e-05: its metrics.jsonl holds no held-out loss" in str(done.exception)  # type: ignore[attr-defined]


def test_values_in_a_row_and_overrides(tmp_path: Path) -> None:
    words = ["sweep", "--lr", "1e-5", "2e-5", str(RECIPE), "--lr", "3e-5", "--share", "1/4", ".5"]
    words += ["--tokens", "T", "--out", str(tmp_path), "--print", "--model.n_layers=3"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    commands = done.output.splitlines()
    assert len(commands) == 6
    assert all(command.endswith("--model.n_layers=3") for command in commands)
    assert "lr-3e-05-share-1of2" in commands[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", ["0", "5/4", "1/0", "half"])
def test_a_share_is_above_nothing_and_at_most_all(share: str, tmp_path: Path) -> None:
    words = ["sweep", str(RECIPE), "--share", share, "--tokens", "T", "--out", str(tmp_path)]
    assert CliRunner().invoke(cli, words).exit_code == 2


def test_what_one_run_refuses_stops_the_sweep(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "olmo_anchor.cli",
                "sweep",
                str(RECIPE),
                "--lr",
                "1e-5",
                "2e-5",
            ),
            *("--tokens", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("nowhere") == 1
    assert "lr-1e-05: the recipe refused the call" in done.stderr


def test_a_recipe_that_holds_nothing_out_is_refused_before_it_trains(
    prose: Corpus, tmp_path: Path
) -> None:
    words = ["sweep", RECIPE.with_name("pretrain_1b_standard.py"), "--size", "tiny"]
    words += ["--tokens", prose.tokens, "--lr", "1e-3", "--out", tmp_path]
    command = [sys.executable, "-m", "olmo_anchor.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "drift is measured on a held-out corpus, and none is named" in done.stderr
    assert not list(tmp_path.glob("*/step*"))


@pytest.mark.parametrize("lr", ["0", "-1", "fast"])
def test_a_learning_rate_is_above_nothing(lr: str, tmp_path: Path) -> None:
    words = ["sweep", str(RECIPE), "--lr", lr, "--tokens", "T", "--out", str(tmp_path), "--print"]
    assert CliRunner().invoke(cli, words).exit_code == 2


def test_a_stopped_sweep_lets_its_run_save_and_starts_no_other(tmp_path: Path) -> None:
    # In place of a recipe: it ends, as a run does, by its own handler and with exit code 1.
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "import pathlib, signal, sys, time\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--save-folder') + 1])\n"
        "def end(*_):\n"
        "    (folder / 'saved').touch()\n"
        "    sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "folder.mkdir(parents=True)\n"
        "(folder / 'began').touch()\n"
        "time.sleep(60)\n"
    )
    out = tmp_path / "out"
    words = ["sweep", recipe, "--lr", "1e-5", "2e-5", "--tokens", "T", "--out", out]
    command = [sys.executable, "-m", "olmo_anchor.cli", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sweep:
        while not (out / "lr-1e-05" / "began").exists():
            assert sweep.poll() is None
            time.sleep(0.05)
        sweep.terminate()
        _, said = sweep.communicate()
    assert sweep.returncode == 1
    assert (out / "lr-1e-05" / "saved").exists()
    assert not (out / "lr-2e-05").exists()
    assert "lr-1e-05: stopped; the same command goes on" in said
