"""The stages of a grid: what each arm needs, once, in an order that keeps two processes busy."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_grid import GRID, made

from olmo_anchor.study.grid.grid import choose
from olmo_anchor.study.grid.stages import SeedStages, overrides
from olmo_anchor.study.pipeline.commands import REPOSITORY
from olmo_anchor.study.pipeline.pipeline import Pipeline
from olmo_anchor.study.pipeline.stage import Stage


def stages(root: Path, *asked: str, text: str = GRID, **options: int) -> dict[str, Stage]:
    grid = made(text)
    found = SeedStages(grid, root, 3, **options).of(choose(grid, asked))
    Pipeline(found, root / "logs")  # each follows what it needs
    return {stage.name: stage for stage in found}


def words(stage: Stage, root: Path) -> str:
    """The command line without the interpreter, the folder as OUT."""
    text = " ".join(stage.argv).replace(f"{root}/", "OUT/").replace(f"{REPOSITORY}/", "")
    for start in ("olmo-anchor ", "olmo_anchor.cli ", "python ", "python3 "):
        text = text.partition(start)[2] or text
    return text


def test_an_arm_needs_what_its_base_and_its_data_need(tmp_path: Path) -> None:
    found = stages(tmp_path, "lr/sft_anchored_0.001")
    assert {name: set(stage.needs) for name, stage in found.items()} == {
        "world": set(),
        "corpus/tokens": {"world"},
        "corpus/noisy/truth": {"world"},
        "corpus/noisy/annotations": {"corpus/tokens", "corpus/noisy/truth"},
        "corpus/noisy/overlay": {"corpus/noisy/annotations"},
        "bases/annotated": {"corpus/noisy/overlay"},
        "data/main/conversations": {"world"},
        "data/main/tokens": {"data/main/conversations"},
        "data/main/main/truth": {"data/main/conversations"},
        "data/main/main/annotations": {"data/main/tokens", "data/main/main/truth"},
        "data/main/main/overlay": {"data/main/main/annotations"},
        "runs/lr/sft_anchored_0.001": {"data/main/main/overlay", "bases/annotated"},
        "models/lr/sft_anchored_0.001": {"runs/lr/sft_anchored_0.001"},
        "models/bases/annotated": {"bases/annotated"},
        "generations/lr/sft_anchored_0.001": {"models/lr/sft_anchored_0.001", "world"},
        "arms/lr/sft_anchored_0.001": {
            "generations/lr/sft_anchored_0.001",
            "data/main/conversations",
            "models/bases/annotated",
        },
    }


def test_stages_are_commands_of_the_command_line(tmp_path: Path) -> None:
    found = stages(tmp_path, "cold/sft_anchored_0.001_cold", "main/base", documents=400)
    said = {name: words(stage, tmp_path) for name, stage in found.items()}
    assert said["corpus/noisy/truth"] == (
        "study truth OUT/world/labels.jsonl --world OUT/world --attributes topic,name "
        "--wrong 0.3 --without 0.1 --seed 3 --out OUT/corpus/noisy/truth.jsonl"
    )
    assert said["data/main/conversations"] == (
        "study conversations OUT/world --seed 3 --conversations 1800 "
        "--out OUT/data/main/conversations --overwrite"
    )
    assert said["bases/standard_xs"] == (
        "train_configs/story_base_standard.py --tokens OUT/corpus/tokens "
        "--overlay OUT/corpus/main/overlay --seed 3 --size xs --budget 26400 "
        "--save-folder OUT/bases/standard_xs"
    )
    assert said["runs/lr/sft_anchored_0.001"] == (
        "train_configs/story_sft_anchored.py --tokens OUT/data/main/tokens "
        "--overlay OUT/data/main/main/overlay --load-path OUT/bases/annotated --seed 3 "
        "--collator.seed=7 --dataset.selection.split=train --train_module.optim.lr=0.001 "
        "--save-folder OUT/runs/lr/sft_anchored_0.001"
    )
    assert said["generations/cold/sft_anchored_0.001_cold"] == (
        "generate OUT/models/lr/sft_anchored_0.001 --prompts OUT/world/prompts_chat.jsonl "
        "--engine hf --temperature 0.5 --seed 3 "
        "--out OUT/generations/cold/sft_anchored_0.001_cold.jsonl --overwrite"
    )
    assert said["arms/cold/sft_anchored_0.001_cold"] == (
        "evaluate --suite evals/story_world.yaml "
        "--model sft_anchored_0.001_cold=OUT/generations/cold/sft_anchored_0.001_cold.jsonl "
        "--taught OUT/data/main/conversations/labels.jsonl --before OUT/models/bases/annotated "
        "--out OUT/arms/cold/sft_anchored_0.001_cold --overwrite"
    )
    assert said["arms/main/base"] == (
        "evaluate --suite evals/story_world.yaml --model base=OUT/generations/main/base.jsonl "
        "--taught OUT/data/main/conversations/labels.jsonl --out OUT/arms/main/base --overwrite"
    )


def test_restricted_data_is_asked_for(tmp_path: Path) -> None:
    found = stages(
        tmp_path, "main/sft", text=GRID.replace("sft: {method:", "sft: {data: more, method:")
    )
    assert "--conversations 20 --only topic=14" in words(found["data/more/conversations"], tmp_path)


def test_bases_come_first_and_the_longest_before_the_others(tmp_path: Path) -> None:
    text = GRID.replace("{xs: 0.5}", "{xs: 0.5, l: 5}").replace(
        "      sft: {method: sft_standard}", "      large: {base: annotated, size: l}"
    )
    names = list(stages(tmp_path, "main", "lr", text=text))
    assert [name for name in names if name.startswith("bases")] == [
        "bases/annotated_l",
        "bases/standard",
        "bases/annotated",
        "bases/standard_xs",
    ]
    last_base = names.index("bases/standard_xs")
    assert {name.partition("/")[0] for name in names[:last_base]} == {"world", "corpus", "bases"}


def test_one_model_serves_the_arms_that_only_sample_otherwise(tmp_path: Path) -> None:
    found = stages(tmp_path, "cold")
    assert [name for name in found if name.startswith(("runs", "models", "generations"))] == [
        "models/bases/standard_xs",
        "generations/main/base",
        "runs/lr/sft_anchored_0.001",
        "models/lr/sft_anchored_0.001",
        "models/bases/annotated",
        "generations/lr/sft_anchored_0.001",
        "generations/cold/base_cold",
        "generations/cold/base_short",
        "generations/cold/sft_anchored_0.001_cold",
        "generations/cold/sft_anchored_0.001_short",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"b": 0.5, "a.c": "kl"}, ["--a.c=kl", "--b=0.5"]),
        ({"on": True, "of": ["x.*", "y"]}, ['--of=["x.*","y"]', "--on=true"]),
    ],
)
def test_settings_are_written_as_the_recipes_read_them(
    settings: dict[str, object], expected: list[str]
) -> None:
    assert overrides(settings) == expected
