"""A grid's YAML becomes arms: products, what is taken over, and errors that name the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from olmo_anchor.errors import InputError
from olmo_anchor.study.grid.grid import Annotations, Arm, Data, Grid, Group, choose
from olmo_anchor.study.grid.read import expand, read_grid

GRID = """
suite: story_world
size: s
sizes: {xs: 0.5}
annotations:
  main: {attributes: [topic]}
  noisy: {wrong: 0.3, without: 0.1}
data:
  main: {}
  more: {only: {topic: 14}, conversations: 20}
bases:
  standard: {recipe: story_base_standard}
  annotated: {recipe: story_base_annotated, annotations: noisy}
sft: {conversations: 1800, set: {dataset.selection.split: train}}
methods:
  sft_standard: {base: standard, recipe: story_sft_standard}
  sft_anchored: {base: annotated, recipe: story_sft_anchored, set: {collator.seed: 7}}
groups:
  main:
    tests: One thing.
    arms:
      base: {base: standard, size: xs}
      sft: {method: sft_standard}
  lr:
    tests: Another.
    default: false
    with: {annotations: main}
    vary:
      method: [sft_standard, sft_anchored]
      set.train_module.optim.lr: [0.001, 1e-4]
  cold:
    tests: A third.
    vary:
      of: [main/base, lr/sft_anchored_0.001]
      how:
        cold: {sample: {temperature: 0.5}}
        short: {sample: {max_tokens: 9}}
"""
PATH = Path("grid.yaml")


def made(text: str = GRID) -> Grid:
    return expand(yaml.safe_load(text), PATH)


def test_lists_make_products_and_the_arms_take_over_what_they_do_not_say() -> None:
    grid = made()
    assert list(grid.arms) == [
        "main/base",
        "main/sft",
        "lr/sft_standard_0.001",
        "lr/sft_standard_1e-4",
        "lr/sft_anchored_0.001",
        "lr/sft_anchored_1e-4",
        "cold/base_cold",
        "cold/base_short",
        "cold/sft_anchored_0.001_cold",
        "cold/sft_anchored_0.001_short",
    ]
    assert grid.arms["main/base"] == Arm(
        "main/base", "main", "base_standard", "standard", size="xs"
    )
    assert grid.arms["main/sft"] == Arm(
        "main/sft",
        "main",
        "sft_standard",
        "standard",
        recipe="story_sft_standard",
        data="main",
        annotations="main",
        set={"dataset.selection.split": "train"},
    )
    trained = grid.arms["lr/sft_anchored_0.001"]
    assert trained == Arm(
        "lr/sft_anchored_0.001",
        "lr",
        "sft_anchored",
        "annotated",
        recipe="story_sft_anchored",
        data="main",
        annotations="main",
        set={
            "dataset.selection.split": "train",
            "collator.seed": 7,
            "train_module.optim.lr": 0.001,
        },
        at={"lr": 0.001},
    )
    cold = grid.arms["cold/sft_anchored_0.001_cold"]
    assert (cold.of, cold.model) == ("lr/sft_anchored_0.001", "lr/sft_anchored_0.001")
    assert (cold.sample, cold.at) == ({"temperature": 0.5}, {"how": "cold"})
    assert (cold.method, cold.recipe, cold.set) == (trained.method, trained.recipe, trained.set)
    assert grid.annotations == {
        "main": Annotations(("topic",)),
        "noisy": Annotations(("topic", "name"), wrong=0.3, without=0.1),
    }
    assert grid.data == {"main": Data((), 1800), "more": Data((("topic", "14"),), 20)}
    assert grid.groups["main"] == Group("One thing.", ("main/base", "main/sft"))
    assert made(GRID.replace(", annotations: noisy", "")).arms == grid.arms  # `with` says main


def test_annotations_are_those_of_the_base_where_an_arm_says_none() -> None:
    grid = made(GRID.replace("    with: {annotations: main}\n", ""))
    assert grid.arms["lr/sft_anchored_0.001"].annotations == "noisy"
    assert grid.arms["lr/sft_standard_0.001"].annotations == "main"


def test_arms_are_chosen_by_group_or_pattern_with_those_whose_models_they_sample() -> None:
    grid = made()

    def names(*asked: str) -> list[str]:
        return [arm.name for arm in choose(grid, asked)]

    assert names("main") == ["main/base", "main/sft"]
    assert names("*_1e-4", "main/base") == [
        "main/base",
        "lr/sft_standard_1e-4",
        "lr/sft_anchored_1e-4",
    ]
    assert names("cold/*_short") == [
        "main/base",
        "lr/sft_anchored_0.001",
        "cold/base_short",
        "cold/sft_anchored_0.001_short",
    ]
    # By default not those of groups that say so, but what others need of them.
    assert "lr/sft_standard_0.001" not in names()
    assert "lr/sft_anchored_0.001" in names()
    with pytest.raises(InputError, match=r"--arms lrr: no such group or arm in grid\.yaml"):
        choose(grid, ("main", "lrr"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sft: {method: sft_standard}", "sft: {method: sft}", r"groups: main: method: 'sft'"),
        ("{base: standard, size: xs}", "{base: none}", r"groups: main: base: base: 'none' is none"),
        ("size: xs}", "size: xl}", r"groups: main: base: size: 'xl' is none of xs"),
        ("size: xs}", "data: more}", r"main: base: data: nothing is trained without"),
        ("with: {annotations: main}", "with: {data: all}", r"lr: sft_standard_0\.001: data: 'all'"),
        ("with: {annotations: main}", "with: {anotations: main}", r"unknown field 'anotations'"),
        ("annotations: noisy}", "annotations: loud}", r"bases: annotated: annotations: 'loud'"),
        ("of: [main/base,", "of: [main/bass,", r"cold: bass_cold: of: 'main/bass' is none of"),
        ("{temperature: 0.5}", "{temprature: 0.5}", r"sample: unknown field 'temprature'"),
        ("{temperature: 0.5}", "{temperature: [1]}", r"temperature: \[1\] is neither number"),
        ("cold: {sample", "cold: {data: more, sample", r"base_cold: data: an arm `of` another"),
        ("wrong: 0.3", "wrong: 3", r"annotations: noisy: wrong: 3 is no share"),
        ("wrong: 0.3", "worng: 0.3", r"annotations: noisy: unknown field 'worng'"),
        (
            "wrong: 0.3",
            "among: all",
            r"annotations: noisy: among: 'all' is neither world nor labels",
        ),
        ("lr: [0.001, 1e-4]", "lr: 0.001", r"lr: vary: set\.train_module\.optim\.lr: neither"),
        ("lr: [0.001, 1e-4]", "lr: [1, 1]", r"lr: sft_standard_1: there are two arms"),
        ("    tests: Another.\n", "", r"groups: lr: tests: say in a sentence"),
        ("suite: story_world", "suit: story_world", r"grid\.yaml: unknown field 'suit'"),
        ("data:\n  main: {}", "data:\n  main: {only: topic}", r"data: main: only: not a mapping"),
    ],
)
def test_errors_name_the_file_the_arm_and_the_field(old: str, new: str, message: str) -> None:
    assert old in GRID
    with pytest.raises(InputError, match=message) as error:
        made(GRID.replace(old, new))
    assert str(error.value).startswith("grid.yaml: ")


def test_a_group_may_have_several_products() -> None:
    products = [{"method": ["sft_standard"], "set.a.b": [1, 2]}, {"method": ["sft_anchored"]}]
    stored = yaml.safe_load(GRID) | {"groups": {"g": {"tests": "It.", "vary": products}}}
    arms = expand(stored, PATH).arms
    assert list(arms) == ["g/sft_standard_1", "g/sft_standard_2", "g/sft_anchored"]
    assert arms["g/sft_standard_2"].at == {"b": 2}
    stored["groups"]["g"]["vary"] = ["method"]
    with pytest.raises(InputError, match="groups: g: vary: neither a mapping nor a list"):
        expand(stored, PATH)


def test_arms_of_one_another_are_refused() -> None:
    arms: dict[str, Any] = {"a": {"of": "g/b"}, "b": {"of": "g/c"}, "c": {"of": "g/b"}}
    stored = yaml.safe_load(GRID) | {"groups": {"g": {"tests": "None.", "arms": arms}}}
    with pytest.raises(InputError, match=r"groups: g: a: of: a circle: g/a -> g/b -> g/c -> g/b"):
        expand(stored, PATH)


def test_a_file_that_is_no_grid_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    with pytest.raises(InputError, match=r"grid\.yaml: cannot be read"):
        read_grid(path)
    path.write_text("groups: [")
    with pytest.raises(InputError, match="not a YAML file"):
        read_grid(path)
    path.write_text(f"{GRID}  main: {{tests: Another.}}\n")
    with pytest.raises(InputError, match=r"grid\.yaml: line \d+: 'main' stands there twice"):
        read_grid(path)
