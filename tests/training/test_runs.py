"""Real runs of a tiny model through the recipe files' own command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.conftest import Corpus
from tests.training.folders import write_overlay
from tests.training.launching import launch, losses

pytestmark = pytest.mark.slow

STOP = "--trainer.hard_stop={value: 7, unit: steps}"


@pytest.fixture(scope="module")
def base(prose: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of one epoch."""
    folder = tmp_path_factory.mktemp("runs") / "base"
    done = launch("story_base_annotated", prose, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_stopped_and_resumed_gives_the_same_losses(
    base: Path, prose: Corpus, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    stopped = launch("story_base_annotated", prose, folder, STOP)
    assert stopped.returncode == 0
    assert "next:" not in stopped.stdout
    assert not (folder / "manifest.json").exists()
    assert max(losses(folder)) == 7
    done = launch("story_base_annotated", prose, folder)
    assert done.returncode == 0
    assert f"next: olmo-anchor export {folder} {folder}/hf" in done.stdout
    assert losses(folder) == losses(base)
    steps = len(losses(base))
    assert steps > 12
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["kind"], manifest["counts"]["steps"]) == ("run", steps)
    assert (folder / manifest["extra"]["checkpoint"] / "model_and_optim").is_dir()


def test_a_finished_run_is_recognised_and_not_mixed_with_another(
    base: Path, prose: Corpus, tmp_path: Path
) -> None:
    before = sorted(path.name for path in base.iterdir())
    again = launch("story_base_annotated", prose, base)
    assert (again.returncode, again.stdout.count("finished already")) == (0, 1)
    other = launch("story_base_annotated", prose, base, "--train_module.optim.lr=1e-4")
    assert other.returncode == 2
    assert "differs in" in other.stderr
    assert "train_module.optim.lr" in other.stderr
    assert "Traceback" not in other.stderr
    assert sorted(path.name for path in base.iterdir()) == before


def test_other_masks_or_data_on_resume_are_refused_by_name(prose: Corpus, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert launch("story_base_annotated", prose, run, STOP).returncode == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    fewer = [dict([*part.items()][:20]) for part in prose.annotations]
    folder = write_overlay(
        tmp_path / "fewer", prose.tokens, prose.documents, fewer, prose.tokenizer
    )
    for name, corpus, words, reason in (
        ("annotated", prose, ("--collator.policy=anchored",), "policy was 'full', now 'anchored'"),
        ("standard", prose, (), "dataset.sources.0.annotations was True, now False"),
        ("annotated", replace(prose, overlay=folder), (), "overlay of source 0 was '"),
        ("annotated", prose, ("--model.n_layers=2",), "model.n_layers was 1, now 2"),
    ):
        other = launch(f"story_base_{name}", corpus, run, *words)
        assert other.returncode == 2
        assert reason in other.stderr
        assert "Traceback" not in other.stderr
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    assert all("work" in path.parts for path in after.keys() - before.keys())


def test_another_learning_rate_on_resume_is_said(prose: Corpus, tmp_path: Path) -> None:
    assert launch("story_base_annotated", prose, tmp_path / "run", STOP).returncode == 0
    lower = launch(
        "story_base_annotated", prose, tmp_path / "run", STOP, "--train_module.optim.lr=1e-4"
    )
    assert lower.returncode == 0
    assert "goes on with another train_module.optim.lr\n" in lower.stderr


@pytest.mark.parametrize(
    ("recipe", "kind", "steps", "sharding"),
    [
        ("story_base_annotated", "prose", (), ()),
        (
            # Fourteen steps of eight conversations are almost two epochs of the 64.
            *("story_sft_anchored", "chat", ("--trainer.max_duration.value=14",)),
            ("--train_module.dp_config.name=fsdp",),
        ),
    ],
    ids=["pretraining-hsdp", "sft-fsdp"],
)
def test_two_ranks_with_sharded_parameters_resume_too(
    recipe: str,
    kind: str,
    steps: tuple[str, ...],
    sharding: tuple[str, ...],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    corpus: Corpus = request.getfixturevalue(kind)
    overrides = (*steps, *sharding)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    done = launch(recipe, corpus, whole, *overrides, processes=2)
    assert done.returncode == 0, done.stderr
    stopped = launch(recipe, corpus, halves, *overrides, STOP, processes=2)
    assert stopped.returncode == 0, stopped.stderr
    assert max(losses(halves)) == 7
    assert launch(recipe, corpus, halves, *overrides, processes=2).returncode == 0
    assert losses(halves) == losses(whole)
    assert len(losses(whole)) > 12
    # How many processes ran it makes no other run; what was asked for does.
    alone = launch(recipe, corpus, whole, *steps)
    if sharding:
        assert alone.returncode == 2
        assert "differs in train_module.dp_config" in alone.stderr
    else:
        assert alone.returncode == 0
        assert alone.stdout.count("finished already, by 2 processes") == 1


def test_sft_begins_with_the_weights_of_a_run_alone(
    base: Path, chat: Corpus, prose: Corpus, tmp_path: Path
) -> None:
    first = min(base.glob("step*"), key=lambda path: int(path.name[4:]))
    another = ("--load-path", str(first), "--trainer.max_duration.value=4")
    overrides = ("--load-path", str(base), "--trainer.max_duration.value=4")
    loaded = launch("story_sft_anchored", chat, tmp_path / "a", *overrides)
    assert loaded.returncode == 0, loaded.stderr
    fresh = launch("story_sft_anchored", chat, tmp_path / "b", overrides[-1])
    assert fresh.returncode == 0, fresh.stderr
    assert losses(tmp_path / "a")[1] < losses(tmp_path / "b")[1] - 1
    assert "note:" not in loaded.stderr
    # Another checkpoint of the same run makes another run, and is said to be no finished one.
    earlier = launch("story_sft_anchored", chat, tmp_path / "a", *another)
    assert earlier.returncode == 2
    assert "the checkpoint it started from" in earlier.stderr
    other = launch("story_sft_anchored", chat, tmp_path / "d", *another)
    assert other.returncode == 0
    assert other.stderr.count("note:") == 1
    assert "of 25, not its last" in other.stderr
    missing = launch("story_sft_anchored", chat, tmp_path / "c", "--load-path", str(prose.tokens))
    assert missing.returncode == 2
    assert "no checkpoint there" in missing.stderr
