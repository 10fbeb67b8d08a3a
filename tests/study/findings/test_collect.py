"""What the study found, from folders with literal numbers."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from made_study import MAIN, arm, summary, write, write_seed

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError
from olmo_anchor.study.findings.collect import collect
from olmo_anchor.study.findings.content import provenance
from olmo_anchor.study.findings.estimate import over_seeds
from olmo_anchor.study.findings.findings import Missing, load_findings
from olmo_anchor.study.findings.stale import stale

FOUR = {
    "main/base_standard": summary(5.5, persona=4.5),
    "main/base_annotated": summary(5.4, persona=4.5),
    "main/sft_standard": summary(2.5, persona=0.5),
    "main/sft_anchored": summary(5.2, persona=0.5, kl=0.02),
}


def test_a_mean_has_students_interval_from_three_seeds_on() -> None:
    # s = 1, t(.975, 2) = 4.302653, half = 4.302653 / sqrt(3)
    found = over_seeds([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert found.high == pytest.approx(2 + 2.484138, abs=1e-6)
    assert found.text() == "2.00 ± 2.48"


def test_two_seeds_are_told_bare() -> None:
    found = over_seeds([1.0, 2.0])
    assert (found.value, found.low, found.high) == (1.5, None, None)
    assert found.text() == "1.00, 2.00"
    assert found.bounds == (1.0, 2.0)


def test_measures_come_from_the_arms_own_files(tmp_path: Path) -> None:
    losses = {"main/sft_anchored": [1.0, math.log(1.25)]}
    write_seed(tmp_path, 0, MAIN, FOUR, losses=losses)
    found = collect(tmp_path)
    of = found.values["main/sft_anchored"][0]
    assert of["entropy.topic"] == 5.2
    assert of["entropy.topic_plug_in"] == pytest.approx(5.1)
    assert of["entropy.mean"] == pytest.approx((5.2 + 4.0 + 3.0 + 0.5) / 4)
    assert of["valid"] == 0.95
    assert of["valid.outside"] == 0.9
    assert of["request.outside"] == 0.8
    assert of["kl.topic"] == 0.02
    assert of["perplexity.given"] == pytest.approx(1.25)
    assert of["loss"] == pytest.approx(math.log(1.25), abs=1e-5)
    # (5.2 - 2.5) / (5.5 - 2.5)
    assert of["gap.topic"] == pytest.approx(0.9)
    assert of["gap.topic_plug_in"] == pytest.approx(0.9)
    assert of["gap.persona"] == 0.0
    assert "kl.topic" not in found.values["main/sft_standard"][0]
    assert "gap.topic" not in found.values["main/base_standard"][0]
    assert found.arms["main/sft_anchored"].facts["parameters"] == 1_000_000


def test_a_gap_is_of_the_same_data_and_size(tmp_path: Path) -> None:
    wide = {"data": "topic48", "data_entropy_bits": {"topic": 5.584963, "persona": 0.0}}
    arms = (
        *MAIN,
        arm("topics/48_standard", "sft_standard", at={"topics": 48}, **wide),
        arm("topics/48_anchored", "sft_anchored", at={"topics": 48}, **wide),
        arm("sizes/xs_base_standard", "base_standard", size="xs", at={"size": "xs"}),
        arm("sizes/xs_sft_standard", "sft_standard", size="xs", at={"size": "xs"}),
        arm("sizes/xs_sft_anchored", "sft_anchored", size="xs", at={"size": "xs"}),
        arm("lr/standard_5e-4", "sft_standard", at={"lr": 5e-4}),
    )
    numbers = FOUR | {
        "topics/48_standard": summary(5.4),
        "topics/48_anchored": summary(5.45),
        "sizes/xs_base_standard": summary(5.0),
        "sizes/xs_sft_standard": summary(3.0),
        "sizes/xs_sft_anchored": summary(4.0),
        "lr/standard_5e-4": summary(3.1),
    }
    write_seed(tmp_path, 0, arms, numbers)
    values = collect(tmp_path).values
    assert values["sizes/xs_sft_anchored"][0]["gap.topic"] == pytest.approx(0.5)
    assert values["lr/standard_5e-4"][0]["gap.topic"] == pytest.approx(0.2)
    # standard SFT lost 0.1 bits: no gap to speak of
    assert "gap.topic" not in values["topics/48_anchored"][0]


def test_what_is_not_finished_is_named(tmp_path: Path) -> None:
    done = {name: FOUR[name] for name in ("main/base_standard", "main/sft_standard")}
    folder = write_seed(tmp_path, 0, MAIN, done)
    (folder / "runs/main/base_annotated").mkdir(parents=True)
    write(folder / "runs/main/sft_anchored/manifest.json", {})
    (folder / "arms/main/sft_standard/manifest.json").unlink()
    write(folder / "generations/main/sft_standard.manifest.json", {})
    found = collect(tmp_path)
    assert found.missing == (
        Missing("main/base_annotated", 0, "its training did not end"),
        Missing("main/sft_standard", 0, "its answers were not evaluated to the end"),
        Missing("main/sft_anchored", 0, "its answers are not all there"),
    )
    assert list(found.values) == ["main/base_standard"]


def test_another_definition_of_one_arm_is_refused(tmp_path: Path) -> None:
    write_seed(tmp_path, 0, MAIN, FOUR)
    other = [*MAIN[:3], {**MAIN[3], "overrides": ["--collator.policy=unmasked"]}]
    write_seed(tmp_path, 1, other, FOUR)
    with pytest.raises(InputError, match=r"main/sft_anchored has another overrides than .*seed-0"):
        collect(tmp_path)


def test_another_world_is_refused(tmp_path: Path) -> None:
    write_seed(tmp_path, 0, MAIN, FOUR)
    write_seed(tmp_path, 1, MAIN, FOUR, world={"documents": 100})
    with pytest.raises(InputError, match="another world"):
        collect(tmp_path)


def test_a_larger_grid_at_a_later_seed_is_no_other_grid(tmp_path: Path) -> None:
    write_seed(tmp_path, 0, MAIN, FOUR)
    more = arm("lr/standard_5e-4", "sft_standard", at={"lr": 5e-4})
    write_seed(tmp_path, 1, (*MAIN, more), FOUR | {more["name"]: summary(3.0)})
    found = collect(tmp_path)
    assert found.at("lr/standard_5e-4", "entropy.topic") == {1: 3.0}
    assert found.at("main/sft_standard", "entropy.topic") == {0: 2.5, 1: 2.5}


def test_a_folder_copied_as_another_seed_is_refused(tmp_path: Path) -> None:
    write_seed(tmp_path, 0, MAIN, FOUR)
    write_seed(tmp_path, 0, MAIN, FOUR).rename(tmp_path / "seed-7")
    write_seed(tmp_path, 0, MAIN, FOUR)
    with pytest.raises(InputError, match="one seed counts once"):
        collect(tmp_path)


def test_an_empty_folder_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="olmo-anchor study run --out"):
        collect(tmp_path)


def test_the_command_writes_json_and_csv_and_says_what_is_missing(tmp_path: Path) -> None:
    for seed, topic in enumerate((5.1, 5.2, 5.3)):
        numbers = FOUR | {"main/sft_anchored": summary(topic)}
        if seed == 2:
            del numbers["main/base_annotated"]
        write_seed(tmp_path, seed, MAIN, numbers)
    done = CliRunner().invoke(cli, ["study", "page", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "seed 2, it was not trained: main/base_annotated" in done.output
    stored = orjson.loads((tmp_path / "study.json").read_bytes())
    anchored = next(one for one in stored["arms"] if one["name"] == "main/sft_anchored")
    assert anchored["measures"]["entropy.topic"] == {
        "mean": 5.2,
        "low": pytest.approx(5.2 - 0.248414, abs=1e-5),
        "high": pytest.approx(5.2 + 0.248414, abs=1e-5),
        "seeds": {"0": 5.1, "1": 5.2, "2": 5.3},
    }
    rows = list(csv.DictReader((tmp_path / "study.csv").open()))
    (row,) = [
        one
        for one in rows
        if (one["arm"], one["measure"]) == ("main/base_annotated", "entropy.topic")
    ]
    assert (row["mean"], row["low"], row["seeds"], row["seed_2"]) == ("5.4", "", "2", "")
    again = load_findings(tmp_path / "study.json")
    assert again.to_json() == stored


def test_a_base_has_the_perplexity_with_which_its_sft_begins(tmp_path: Path) -> None:
    losses = {
        "main/sft_standard": [math.log(1.5), math.log(1.25)],
        "main/sft_anchored": [math.log(1.4), math.log(1.2)],
    }
    write_seed(tmp_path, 0, MAIN, FOUR, losses=losses)
    of = {name: values[0] for name, values in collect(tmp_path).values.items()}
    assert of["main/base_standard"]["perplexity.text"] == pytest.approx(1.5)
    assert of["main/base_annotated"]["perplexity.given"] == pytest.approx(1.4)
    assert of["main/sft_standard"]["perplexity.text"] == pytest.approx(1.25)
    assert "perplexity.given" not in of["main/sft_standard"]
    assert "perplexity.text" not in of["main/sft_anchored"]


def test_files_of_an_earlier_definition_are_not_read(tmp_path: Path) -> None:
    """The arm was defined anew, and its training then failed: the old folders lie there still."""
    weight = arm(
        "regularized/sft_kl_1", "sft_kl", overrides=["--train_module.regularizer.weight=1"]
    )
    hot = arm(
        "sampling/hot", "sft_standard", of="main/sft_standard", sampling=["--temperature=1.3"]
    )
    numbers = FOUR | {weight["name"]: summary(3.0), hot["name"]: summary(3.5)}
    config = {"train_module": {"regularizer": {"weight": 0.3}}}
    folder = write_seed(tmp_path, 0, [*MAIN, weight, hot], numbers, runs={weight["name"]: config})
    sampled = folder / "generations" / f"{hot['name']}.manifest.json"
    write(sampled, {"config": {"temperature": 1.6}})
    found = collect(tmp_path)
    assert found.missing == (
        Missing(
            weight["name"],
            0,
            "what lies there has train_module.regularizer.weight 0.3, the grid says 1",
        ),
        Missing(hot["name"], 0, "what lies there has temperature 1.6, the grid says 1.3"),
    )
    write(sampled, {"config": {"temperature": 1.3}})
    write(folder / weight["run"] / "manifest.json", {"config": {}})
    assert collect(tmp_path).missing == ()


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("--optim.eps=1e-8", {"optim": {"eps": 1e-08}}),
        ("--optim.eps=1e-8", {"optim": {"eps": "1e-8"}}),
        ('--model.freeze_params=["a.*"]', {"model": {"freeze_params": ["a.*"]}}),
        ("--sources.0.unannotated=train", {"sources": [{"unannotated": "train"}]}),
        ("--enabled=true", {"enabled": True}),
        ("--num-samples=5", {"num_samples": 5}),
        ("--not.there=5", {"there": 4}),
    ],
)
def test_equal_settings_are_equal_however_written(option: str, found: dict[str, Any]) -> None:
    assert stale([option], {"config": found}) is None


def test_the_commit_is_kept_where_the_seed_says_it(tmp_path: Path) -> None:
    folder = write_seed(tmp_path, 0, MAIN, FOUR)
    grid = orjson.loads((folder / "grid.json").read_bytes())
    write(folder / "grid.json", grid | {"commit": "0a48206"})
    told = dict(provenance(collect(tmp_path)))["seed 0"]
    assert told.startswith("train_configs/study.yaml abababababab, commit 0a48206, 4 arms")
