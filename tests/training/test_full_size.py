"""The full-size recipes: what a dry run tells, and that siblings differ in what they say."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from olmo_core.nn.attention import AttentionBackendName

from olmo_anchor.training import launch
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.inputs import Inputs
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from tests.training.conftest import Corpus

RECIPES = Path(__file__).parents[2] / "train_configs"
KINDS = ("pretrain", "sft", "anneal", "simplestories")
NAMES = sorted(path.stem for kind in KINDS for path in RECIPES.glob(f"{kind}_*.py"))
NODE = Hardware.planned(8)
ANNOTATIONS = {"dataset.sources", "trainer.callbacks.drift.dataset.sources"}


def build(name: str, monkeypatch: pytest.MonkeyPatch, **given: object) -> AnchoredExperimentConfig:
    monkeypatch.syspath_prepend(RECIPES)
    inputs = Inputs(None, None, "runs/x", **given)  # type: ignore[arg-type]
    config = importlib.import_module(name).build(inputs)
    assert isinstance(config, AnchoredExperimentConfig)
    return config


def dry_run(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The file as a command, in this process."""
    monkeypatch.syspath_prepend(RECIPES)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--dry-run", *words])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(RECIPES / f"{name}.py"), run_name="__main__")
    assert isinstance(exit.value.code, int)
    return exit.value.code


def test_there_is_a_recipe_for_every_experiment() -> None:
    sizes = ("600m", "1b", "2500m")
    expected = {f"pretrain_{size}_{arm}" for size in sizes for arm in ("standard", "annotated")}
    arms = ("standard", "anchored", "anchored_from_standard")
    expected |= {f"sft_{size}_{arm}" for size in sizes for arm in arms}
    expected |= {f"simplestories_sft_{arm}" for arm in ("standard", "anchored")}
    expected |= {f"anneal_olmo2_1b_{arm}" for arm in ("standard", "annotated")}
    assert set(NAMES) == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_dry_runs_for_a_node_that_is_not_there(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run(name, [], monkeypatch) == 0
    said = capsys.readouterr().out
    for pattern in (
        r"parameters: [\d,]+ \([\d,]+ without the embedding\)",
        r"steps: [\d,]+ of [\d,]+ tokens",
        r"operations: \d\.\d\de\+\d\d",
        r"GPU-hours of H100s .* on 8",
        r"GiB on each GPU",
    ):
        assert re.search(pattern, said), pattern


@pytest.mark.parametrize(
    ("name", "parameters", "steps", "hours"),
    [
        # 20 tokens a parameter (paper, A.2) in batches of 256, 384 and 640 rows of 4096 tokens.
        ("pretrain_600m_annotated", "732,255,552", "11,445", 34.7),
        ("pretrain_1b_annotated", "1,484,916,736", "12,716", 119.1),
        ("pretrain_2500m_annotated", "2,820,897,280", "19,074", 588.7),
    ],
)
def test_pretraining_costs_what_the_docstrings_say(
    name: str,
    parameters: str,
    steps: str,
    hours: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dry_run(name, [], monkeypatch) == 0
    said = capsys.readouterr().out
    assert f"parameters: {parameters}" in said
    assert f"steps: {steps} of" in said
    assert f"about {hours} GPU-hours" in said


@pytest.mark.parametrize(
    ("one", "two", "fields"),
    [
        *(
            (f"pretrain_{size}_standard", f"pretrain_{size}_annotated", ANNOTATIONS)
            for size in ("600m", "1b", "2500m")
        ),
        *(
            (
                f"sft_{size}_standard",
                f"sft_{size}_anchored",
                {*ANNOTATIONS, "collator.policy"},
            )
            for size in ("600m", "1b", "2500m")
        ),
        *(
            (f"sft_{size}_anchored", f"sft_{size}_anchored_from_standard", {"collator.policy"})
            for size in ("600m", "1b", "2500m")
        ),
        (
            "simplestories_sft_standard",
            "simplestories_sft_anchored",
            {*ANNOTATIONS, "collator.policy"},
        ),
        ("anneal_olmo2_1b_standard", "anneal_olmo2_1b_annotated", ANNOTATIONS),
    ],
)
@pytest.mark.parametrize("hardware", [NODE, Hardware()])
def test_siblings_differ_in_one_line(
    one: str, two: str, fields: set[str], hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [build(name, monkeypatch, hardware=hardware).as_config_dict() for name in (one, two)]
    assert set(launch.differences(*configs)) == fields
    for config in configs:
        for dataset in (config["dataset"], config["trainer"]["callbacks"]["drift"]["dataset"]):
            del dataset["sources"][0]["annotations"]
    assert set(launch.differences(*configs)) == fields - ANNOTATIONS


def test_the_hardware_decides_about_attention_compilation_and_packing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = build("sft_1b_anchored", monkeypatch, hardware=NODE)
    laptop = build("sft_1b_anchored", monkeypatch, hardware=Hardware())
    without_flash = build("sft_1b_anchored", monkeypatch, hardware=Hardware(8, gpu=True))
    for config, flash, packed in (
        (node, True, True),
        (laptop, False, False),
        (without_flash, False, False),
    ):
        backend = AttentionBackendName.flash_2 if flash else AttentionBackendName.torch
        resolved = config.as_config_dict()
        assert resolved["model"]["block"]["sequence_mixer"]["backend"] == backend
        assert config.data_loader.generate_doc_lengths == flash
        assert type(config.dataset).__name__.startswith("Packed" if packed else "Padded")
        assert config.train_module.compile_model == packed
        # A compiled step would be compiled anew for every length.
        assert resolved["trainer"]["callbacks"]["trim_padding"]["enabled"] != packed
        assert config.train_module.dp_config is not None
        assert config.train_module.dp_config.name == "hsdp"
    assert node.train_module.dp_config.param_dtype == "bfloat16"  # type: ignore[union-attr]
    assert laptop.train_module.dp_config.param_dtype is None  # type: ignore[union-attr]


def test_callbacks_that_a_user_may_want_are_declared_and_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    callbacks = build("pretrain_1b_annotated", monkeypatch).trainer.callbacks
    off = {"comet", "downstream", "gpu_memory", "profiler", "wandb"}
    assert {
        name for name, callback in callbacks.items() if not getattr(callback, "enabled", True)
    } >= off
    words = [f"--trainer.callbacks.{name}.enabled=true" for name in ("wandb", "comet", "profiler")]
    words.append("--trainer.callbacks.checkpointer.ephemeral_save_interval=50")
    assert dry_run("pretrain_1b_annotated", words, monkeypatch) == 0
    assert "ephemeral_save_interval=50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("hardware", "reason"),
    [(Hardware(7), "cannot be dealt to 7 ranks"), (Hardware(512), "cannot be dealt to 512 ranks")],
)
def test_rows_that_ranks_cannot_share_are_refused(
    hardware: Hardware, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(launch.InputError, match=reason):
        build("sft_1b_anchored", monkeypatch, hardware=hardware)


def test_a_rank_computes_a_divisor_of_its_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # 640 rows on 8 ranks are 80 each, of which 2 are computed at once; 24 packed rows are 3 each.
    base = build("pretrain_2500m_annotated", monkeypatch, hardware=NODE)
    assert base.train_module.rank_microbatch_size == 2 * 4096
    post = build("sft_2500m_anchored", monkeypatch, hardware=NODE)
    assert post.train_module.rank_microbatch_size == 1 * 4096
    assert build(
        "sft_1b_anchored", monkeypatch, hardware=NODE
    ).train_module.rank_microbatch_size == (3 * 4096)


def test_a_budget_and_a_size_are_the_users(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run("pretrain_1b_annotated", ["--budget", "1e9"], monkeypatch) == 0
    assert "duration: 1,000,000,000 tokens" in capsys.readouterr().out
    assert dry_run("pretrain_1b_annotated", ["--size", "tiny"], monkeypatch) == 0
    assert "16,384 in all" in capsys.readouterr().out
    assert dry_run("pretrain_1b_annotated", ["--size", "7B"], monkeypatch) == 2
    assert "the sizes are 600M, 1B, 2500M, tiny" in capsys.readouterr().err


def test_a_budget_is_not_of_conversations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run("sft_1b_anchored", ["--budget", "1e9"], monkeypatch) == 2
    assert "--dataset.selection.share=" in capsys.readouterr().err


def test_a_mixture_has_as_many_tokens_as_the_recipe(
    prose: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tokens").symlink_to(prose.tokens)
    (tmp_path / "mine" / "overlay").symlink_to(prose.overlay)
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(
        f"root: {tmp_path}\ntokens: 512\nsources:\n  mine: {{share: 1.0, repeat: 100}}\n"
    )
    monkeypatch.syspath_prepend(RECIPES)
    module = importlib.import_module("pretrain_600m_annotated")
    config = module.build(Inputs(str(mixture), None, "runs/x", size="tiny"))
    assert config.dataset.num_tokens == config.trainer.max_duration.value == 16_384


def test_a_dry_run_begins_with_the_config() -> None:
    done = subprocess.run(
        [sys.executable, str(RECIPES / "pretrain_600m_annotated.py"), "--dry-run"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    log = done.stdout.partition("AnchoredExperimentConfig(")[0]
    assert "attention" not in log  # of the model that is only counted: it would be a CPU's


def test_help_teaches(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(RECIPES / "sft_1b_anchored.py"), "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0
    assert done.stdout.count("torchrun --nproc-per-node=8 train_configs/sft_1b_anchored.py") == 1
    for word in ("--size", "--budget", "--gpus", "hf://NAME", "--train_module.optim.lr=1e-3"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        # 939,343 conversations, one in a hundred held out: about 128 in 24 packed rows of a batch,
        # or 128 in as many padded rows.
        ([], 7_125),
        (["--dataset.selection.share=.125"], 890),
        (["--size", "1B"], 7_265),
    ],
)
def test_steps_without_data_follow_packing_and_selection(
    words: list[str],
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dry_run("sft_1b_anchored", words, monkeypatch) == 0
    assert f"{steps:,} steps an epoch" in capsys.readouterr().out
