"""The grids that are shipped: their arms, and that every recipe takes what they set."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.commands.generate import generate
from olmo_anchor.study.grid.grid import Grid, choose
from olmo_anchor.study.grid.read import read_grid
from olmo_anchor.study.grid.run import GRID, StudyConfig
from olmo_anchor.study.grid.stages import overrides
from olmo_anchor.study.pipeline.commands import REPOSITORY

FILES = [GRID, GRID.with_name("study_gpu.yaml")]


@pytest.fixture(scope="module")
def grid() -> Grid:
    return read_grid(GRID)


def test_the_study_has_the_arms_of_its_questions(grid: Grid) -> None:
    assert list(grid.groups) == [
        "main",
        "topics",
        "personas",
        "mask",
        "skip",
        "value_only",
        "opening",
        "sft_examples",
        "lr",
        "eps",
        "eps_gentle",
        "temperature",
        "sampling",
        "noise",
        "regularized",
        "sizes",
        "large",
    ]
    assert [name for name, group in grid.groups.items() if not group.default] == ["large"]
    assert grid.groups["main"].arms == (
        "main/base_standard",
        "main/base_annotated",
        "main/sft_standard",
        "main/sft_anchored",
        "main/sft_anchored_given",
    )
    assert grid.groups["topics"].arms == (
        "topics/sft_standard_14",
        "topics/sft_standard_48",
        "topics/sft_anchored_14",
        "topics/sft_anchored_48",
    )
    noisy = grid.arms["noise/sft_anchored_30"]
    assert (noisy.base, noisy.annotations) == ("annotated_wrong_30", "wrong_30")
    persona = grid.arms["personas/sft_anchored_persona_8"]
    assert (persona.data, persona.annotations) == ("personas_8", "persona")
    assert grid.annotations["persona"].attributes == ("topic", "name", "persona")


def test_arms_of_a_group_that_are_compared_train_alike(grid: Grid) -> None:
    """Standard and anchored: the same conversations, the same held out, the same steps."""
    found = 0
    for name, arm in grid.arms.items():
        if arm.method != "sft_standard" or arm.of is not None:
            continue
        sibling = grid.arms.get(name.replace("sft_standard", "sft_anchored"))
        if sibling is not None and sibling.method == "sft_anchored":
            assert (arm.data, arm.set, arm.sample) == (sibling.data, sibling.set, sibling.sample)
            found += 1
    assert found >= 15


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_recipes_take_what_the_grid_sets(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from olmo_anchor.training.inputs import Inputs
    from olmo_anchor.training.launch import _override

    monkeypatch.syspath_prepend(str(REPOSITORY / "train_configs"))
    grid = read_grid(path)
    settings = {(base.recipe, None, tuple(overrides(base.set))) for base in grid.bases.values()}
    settings |= {
        (arm.recipe, arm.size, tuple(overrides(arm.set)))
        for arm in choose(grid, ("*/*",))
        if arm.recipe
    }
    assert len(settings) > 2
    for recipe, size, words in settings:
        module = __import__(recipe)
        _override(module.build(Inputs(None, None, "runs/x", None, 0, size)), list(words))
        sys.modules.pop(recipe)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_generate_takes_what_the_grid_samples_with(path: Path, tmp_path: Path) -> None:
    grid, model = read_grid(path), tmp_path / "no_model"
    asked = tmp_path / "prompts.jsonl"
    asked.write_text('{"id": "1", "prompt": "Tell me a story."}\n', "utf-8")
    for sample in {repr(arm.sample): arm.sample for arm in grid.arms.values()}.values():
        words = [
            word
            for option, value in {**grid.sample, **sample}.items()
            for word in (f"--{option.replace('_', '-')}", str(value))
        ]
        out = ("--prompts", str(asked), "--out", str(tmp_path / "out.jsonl"), "--engine", "hf")
        result = CliRunner().invoke(generate, [str(model), *out, *words])
        # All that is wrong is the model.
        assert f"{model}: no such folder" in f"{result.output}{result.exception}", words


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_grids_can_be_planned(path: Path, tmp_path: Path) -> None:
    plan = StudyConfig(tmp_path, seeds=(0, 1), grid=path).plan()
    assert "seed 1: 0 of " in plan
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [("--seeds", "3,5,3"), ("--seed", "3", "--seed", "5")], ids=["listed", "repeated"]
)
def test_seeds_are_listed_or_repeated(words: tuple[str, ...], tmp_path: Path) -> None:
    call = ["study", "run", "--out", str(tmp_path), "--arms", "main", "--dry-run", *words]
    done = CliRunner().invoke(cli, call)
    assert [
        line.split(":")[0] for line in done.output.splitlines() if line.startswith("seed ")
    ] == [
        "seed 3",
        "seed 5",
    ]
    refused = CliRunner().invoke(cli, [*call, "--seeds", "one"])
    assert refused.exit_code == 2
    assert "no seeds such as 0,1,2" in refused.output
