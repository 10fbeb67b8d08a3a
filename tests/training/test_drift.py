"""Drift in real runs of a tiny model: what is measured when, and that training does not notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import Corpus
from tests.training.test_runs import STOP, launch

pytestmark = pytest.mark.slow

RECIPE = str(Path(__file__).parent / "held_out_recipe")
STEPS = "--trainer.max_duration.value=14"
WITHOUT = "--trainer.callbacks.drift.enabled=false"
# Every five steps, and at both ends.
EVALUATED = [0, 5, 10, 14]
# Over which a sum of rows is cut otherwise, but the rows are the same.
ROUNDING = {"rel": 1e-5, "abs": 1e-6}


def records(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` without what is measured with a clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: line[name] for name in line if not name.startswith(("throughput/", "checkpoint/"))}
        for line in lines
    ]


def drift(record: dict[str, Any]) -> dict[str, float]:
    return {name: record[name] for name in record if name.startswith("drift/")}


def without_drift(folder: Path) -> list[dict[str, Any]]:
    """The records of training."""
    return [
        {name: line[name] for name in line if not name.startswith("drift/")}
        for line in records(folder)
        if line["step"] > 0
    ]


@pytest.fixture(scope="module")
def whole(chat: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run that measures drift."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = launch(RECIPE, chat, folder, STEPS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held-out set at step") == len(EVALUATED)
    return folder


@pytest.fixture(scope="module")
def whole_on_two(chat: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on two ranks, with sharded parameters."""
    folder = tmp_path_factory.mktemp("runs") / "whole-on-two"
    done = launch(RECIPE, chat, folder, STEPS, processes=2)
    assert done.returncode == 0, done.stderr
    return folder


def test_drift_is_measured_at_the_interval_and_at_both_ends(whole: Path) -> None:
    lines = records(whole)
    assert [line["step"] for line in lines] == [*range(15)]
    assert [line["step"] for line in lines if drift(line)] == EVALUATED
    first, last = drift(lines[0]), drift(lines[14])
    names = {
        f"drift/{role}/{value}"
        for role in ("text", "delimiter", "key", "value")
        for value in ("CE loss", "entropy", "CE loss change", "entropy change")
    }
    assert set(first) == set(last) == names
    for name in names:
        if name.endswith(" change"):
            assert first[name] == 0
            since = last[name.removesuffix(" change")] - first[name.removesuffix(" change")]
            assert last[name] == pytest.approx(since, abs=1e-12)
    # Text is trained, the structure of an annotation is not.
    assert last["drift/text/CE loss change"] < -1
    assert abs(last["drift/delimiter/CE loss change"]) < 1


@pytest.mark.parametrize("processes", [1, 2])
def test_training_is_bit_for_bit_what_it_is_without(
    processes: int, chat: Corpus, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with_drift = request.getfixturevalue("whole" if processes == 1 else "whole_on_two")
    done = launch(RECIPE, chat, tmp_path / "run", STEPS, WITHOUT, processes=processes)
    assert done.returncode == 0, done.stderr
    assert without_drift(tmp_path / "run") == without_drift(with_drift)
    assert records(tmp_path / "run")[0]["step"] == 1
    if processes == 1:
        # At other steps a run has nothing more to tell.
        plain = {line["step"]: set(line) for line in records(tmp_path / "run")}
        more = [
            line["step"] for line in records(with_drift)[1:] if set(line) != plain[line["step"]]
        ]
        assert more == EVALUATED[1:]


def test_two_ranks_measure_what_one_measures(whole: Path, whole_on_two: Path) -> None:
    first, second = records(whole), records(whole_on_two)
    assert drift(second[0]) == pytest.approx(drift(first[0]), **ROUNDING)
    for a, b in zip(first[1:], second[1:], strict=True):
        # Their weights are those of one rank up to rounding, which grows from step to step.
        assert drift(b) == pytest.approx(drift(a), rel=1e-3, abs=1e-3)
        # Counts are of the global batch.
        counts = {name: a[name] for name in a if name.startswith("trained/")}
        assert counts["trained/documents"] == 8
        assert counts["trained/value tokens"] == 0
        assert {name: b[name] for name in counts} == counts


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_run_measures_since_its_own_step_0(
    processes: int, chat: Corpus, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    undisturbed = request.getfixturevalue("whole" if processes == 1 else "whole_on_two")
    folder = tmp_path / "run"
    stopped = launch(RECIPE, chat, folder, STEPS, STOP, processes=processes)
    assert stopped.returncode == 0, stopped.stderr
    # To be continued: that is not the end.
    assert [line["step"] for line in records(folder) if drift(line)] == [0, 5]
    if processes == 1:
        other = launch(RECIPE, chat, folder, STEPS, "--trainer.callbacks.drift.max_documents=10")
        assert other.returncode == 2
        assert "cannot go on with another held-out set" in other.stderr
        assert "Traceback" not in other.stderr
    done = launch(RECIPE, chat, folder, STEPS, processes=processes)
    assert done.returncode == 0, done.stderr
    assert records(folder) == records(undisturbed)


def test_step_0_is_the_model_that_was_loaded(whole: Path, chat: Corpus, tmp_path: Path) -> None:
    done = launch(RECIPE, chat, tmp_path / "run", STEPS, "--load-path", str(whole))
    assert done.returncode == 0, done.stderr
    end, begin = drift(records(whole)[-1]), drift(records(tmp_path / "run")[0])
    for name in begin:
        assert begin[name] == (0 if name.endswith(" change") else end[name])


def test_what_gives_no_logits_is_refused(chat: Corpus, tmp_path: Path) -> None:
    parallel = "olmo_core.train.train_module.TransformerTensorParallelConfig"
    override = f"--train_module.tp_config={{_CLASS_: {parallel}, degree: 2}}"
    refused = launch(RECIPE, chat, tmp_path / "run", STEPS, override, processes=2)
    assert "Error: drift is measured on whole logits" in refused.stderr
    assert "--trainer.callbacks.drift.enabled=false" in refused.stderr
    assert not list((tmp_path / "run").glob("step*"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--trainer.callbacks.drift.dataset=null", "needs a dataset"),
        ("--trainer.callbacks.drift.interval=0", "an interval, max_documents and chunk of 1"),
        (
            "--trainer.callbacks.drift.dataset.sequence_length=193",
            "of no more than the model's 192",
        ),
    ],
)
def test_a_held_out_set_that_cannot_be_used_is_refused(
    override: str, message: str, chat: Corpus, tmp_path: Path
) -> None:
    refused = launch(RECIPE, chat, tmp_path / "run", STEPS, override)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
