"""The recipe files' command line, up to where training would begin."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from olmo_core import utils

from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training import launch
from olmo_anchor.training.inputs import Inputs
from tests.training.conftest import Corpus
from tests.training.folders import write_tokens

RECIPES = Path(__file__).parents[2] / "train_configs"
NAMES = sorted(path.stem for kind in ("story", "small") for path in RECIPES.glob(f"{kind}_*_*.py"))


def call(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.syspath_prepend(RECIPES)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    recipe = importlib.import_module(name)
    with pytest.raises(SystemExit) as exit:
        launch.main(recipe.build, recipe.__doc__)
    assert isinstance(exit.value.code, int)
    return exit.value.code


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_dry_runs_without_data(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(name, ["--dry-run"], monkeypatch) == 0
    said = capsys.readouterr().out
    assert ("unknown without --tokens" in said) == (
        name in ("story_base_standard", "story_base_annotated")
    )
    assert call(name, ["--dry-run", "--gpus", "2"], monkeypatch) == 0
    assert "on each GPU" in capsys.readouterr().out or "unknown" in said


STORY = ("base_standard", "base_annotated", "sft_standard", "sft_anchored")


@pytest.mark.parametrize(
    ("size", "d_model", "n_layers"),
    [("xs", 64, 2), ("s", 128, 3), ("m", 192, 4), ("l", 256, 8), ("150M", 1024, 15)],
)
def test_all_four_arms_of_the_story_world_train_the_model_of_a_size(
    size: str, d_model: int, n_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(RECIPES)
    inputs = Inputs(None, None, "runs/x", size=size)
    base, annotated, sft, anchored = (
        importlib.import_module(f"story_{arm}").build(inputs) for arm in STORY
    )
    assert (base.model.d_model, base.model.n_layers) == (d_model, n_layers)
    for other in (annotated, sft, anchored):
        assert other.model == base.model
    assert base.train_module == annotated.train_module
    assert sft.train_module == anchored.train_module
    assert base.dataset.max_tokens == annotated.dataset.max_tokens


def test_a_story_world_of_no_size_named_is_the_demos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(RECIPES)
    for arm in STORY:
        recipe = importlib.import_module(f"story_{arm}")
        named = recipe.build(Inputs(None, None, "runs/x", size="s"))
        assert named == recipe.build(Inputs(None, None, "runs/x"))
    assert (named.train_module.optim.lr, named.train_module.optim.eps) == (2e-3, 1e-4)


def test_a_size_that_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("story_sft_anchored", ["--dry-run", "--size", "tiny"], monkeypatch) == 2
    assert "--size tiny: the sizes are xs, s, m, l, 20M, 60M, 150M" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in NAMES if "base" in name])
def test_a_dry_run_with_data_tells_tokens_and_steps(
    name: str,
    prose: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    words = ["--dry-run", "--tokens", str(prose.tokens), "--overlay", str(prose.overlay)]
    words += ["--save-folder", str(tmp_path / "run")]
    if "story" in name:
        words.append("--dataset.max_tokens=null")
    assert call(name, words, monkeypatch) == 0
    out = capsys.readouterr().out
    assert "steps an epoch" in out
    if "story" in name:
        found = re.search(r"batch: (\d+) instances, (\d+) steps an epoch", out)
        assert found is not None
        assert int(found[2]) == 200 // int(found[1])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arm", ["standard", "anchored"])
def test_a_dry_run_tells_how_many_conversations_lack_an_annotation(
    arm: str,
    patchy_chat: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--tokens", str(patchy_chat.tokens), "--overlay", str(patchy_chat.overlay)]
    assert call(f"story_sft_{arm}", ["--dry-run", *words], monkeypatch) == 0
    assert re.search(r"data: documents 62, .* unannotated 2,", capsys.readouterr().out)
    share = ["--dataset.sources.0.max_unannotated=0.01"]
    assert call(f"story_sft_{arm}", ["--dry-run", *words, *share], monkeypatch) == 2
    assert "2 of 64 conversations" in capsys.readouterr().err


def test_wrong_data_is_refused_before_anything_is_written(
    prose: Corpus,
    chat: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    words = ["--tokens", str(prose.tokens), "--save-folder", str(run)]
    other = ["--overlay", str(chat.overlay)]
    assert call("story_base_annotated", [*words, *other], monkeypatch) == 2
    assert str(chat.overlay) in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize("pair", ["story_base", "story_sft", "small_base", "small_sft"])
def test_siblings_differ_in_annotations_and_policy_alone(
    pair: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(RECIPES)
    other = "annotated" if "base" in pair else "anchored"
    one, two = (
        importlib.import_module(f"{pair}_{arm}")
        .build(Inputs(None, None, "runs/x", seed=3))
        .as_config_dict()
        for arm in ("standard", other)
    )
    differences = {"dataset.sources", "trainer.callbacks.drift.dataset.sources"}
    if other == "anchored":
        differences.add("collator.policy")
    assert set(launch.differences(one, two)) == differences
    for source in (one, two):
        del source["dataset"]["sources"][0]["annotations"]
    assert one["dataset"] == two["dataset"]
    assert {one[key]["seed"] for key in ("collator", "data_loader")} == {3}
    assert one["model"]["init_seed"] == 3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--train_module.optim.learning_rate=1"], "learning_rate"),
        (["--trainer.callbacks.nothing.at_all=1"], "no field 'nothing'"),
        (["--dataset.max_tokens=999999999"], "max_tokens asks for 999,999,999"),
        (["--overlay", "/nowhere"], "no such folder"),
        (["--overlay=gs://bucket/overlay"], "olmo-anchor materialise"),
        (["lr=3"], "not an option: lr=3"),
        (["--dryrun"], "not an option: --dryrun"),
        (["--lod-path", "runs/base"], "not an option: --lod-path"),
        (["--budget", "2B"], "'2B' is no number of tokens such as 2e9"),
        (["--budget", "inf"], "'inf' is no number of tokens such as 2e9"),
        (["--budget", "0"], "'0' is no number of tokens such as 2e9"),
    ],
)
def test_wrong_calls_are_one_line_and_exit_code_2(
    words: list[str],
    reason: str,
    prose: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--dry-run", "--tokens", str(prose.tokens), "--overlay", str(prose.overlay)]
    assert call("story_base_annotated", [*given, *words], monkeypatch) == 2
    assert reason in capsys.readouterr().err


def test_training_needs_data_and_a_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("story_base_standard", [], monkeypatch) == 2
    assert "--tokens is needed" in capsys.readouterr().err


def test_an_overlay_lies_over_tokens(
    chat: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dry-run", "--overlay", str(chat.overlay)]
    assert call("story_sft_anchored", words, monkeypatch) == 2
    assert "--overlay is laid over --tokens, which is not named" in capsys.readouterr().err


def test_a_flag_of_the_config_needs_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--dry-run", "--trainer.callbacks.profiler.enabled"]
    assert call("story_sft_anchored", words, monkeypatch) == 0


def test_post_training_says_what_is_often_not_meant(
    chat: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dry-run", "--tokens", str(chat.tokens)]
    assert call("story_sft_standard", words, monkeypatch) == 0
    said = capsys.readouterr().err
    assert "note: without --load-path the weights begin at random" in said
    assert "note: without --overlay this arm sees other conversations" in said
    words += ["--overlay", str(chat.overlay)]
    assert call("story_sft_standard", words, monkeypatch) == 0
    assert "without --overlay" not in capsys.readouterr().err
    # Pretraining begins at random.
    assert call("story_base_standard", ["--dry-run"], monkeypatch) == 0
    assert "note:" not in capsys.readouterr().err


def test_a_batch_takes_no_more_than_the_data_has(
    chat: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dry-run", "--tokens", str(chat.tokens), "--overlay", str(chat.overlay)]
    for rows, code in ((64, 0), (65, 2)):
        batch = f"--data_loader.global_batch_size={rows * 192}"
        assert call("story_sft_anchored", [*words, batch], monkeypatch) == code
    assert "64 instances of 192 tokens, and one batch takes 65" in capsys.readouterr().err


ON = "--trainer.callbacks.drift.enabled=true"
NAMED = "--trainer.callbacks.drift.dataset.sources.0.tokens="


def test_drift_is_measured_on_what_is_not_trained(
    chat: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dry-run", "--tokens", str(chat.tokens), "--overlay", str(chat.overlay), ON]
    assert call("story_sft_anchored", words, monkeypatch) == 2
    said = capsys.readouterr().err
    assert "measured on documents that are trained" in said
    assert "--dataset.selection.split=train" in said
    words.append("--dataset.selection.split=train")
    assert call("story_sft_anchored", words, monkeypatch) == 0
    # One in a hundred is held out; drift would be measured on one in ten.
    words.append("--trainer.callbacks.drift.dataset.selection.held_out=.1")
    assert call("story_sft_anchored", words, monkeypatch) == 2
    words.append("--dataset.selection.held_out=.1")
    assert call("story_sft_anchored", words, monkeypatch) == 0


def test_drift_in_pretraining_wants_a_corpus_of_the_same_tokenizer(
    prose: Corpus,
    chat: Corpus,
    tiny_tokenizer_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    words = ["--dry-run", "--tokens", str(prose.tokens), "--overlay", str(prose.overlay), ON]
    words += ["--size", "tiny", "--data_loader.global_batch_size=256"]
    words += ["--train_module.rank_microbatch_size=256"]
    assert call("pretrain_1b_standard", words, monkeypatch) == 2
    assert f"none is named; name one with {NAMED}" in capsys.readouterr().err
    assert call("pretrain_1b_standard", [*words, f"{NAMED}{chat.tokens}"], monkeypatch) == 0
    swapped = ("<|extra_id_2|>", "<|extra_id_1|>")
    other = AnchorTokenizer.load(tiny_tokenizer_file, delimiters=swapped)
    tokens = write_tokens(tmp_path / "other", prose.documents, other)
    assert call("pretrain_1b_standard", [*words, f"{NAMED}{tokens}"], monkeypatch) == 2
    assert "with another tokenizer than the data" in capsys.readouterr().err


def test_a_dry_run_prints_nothing_of_an_experiment_that_cannot_run(
    prose: Corpus,
    chat: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--dry-run", "--tokens", str(prose.tokens), "--overlay", str(chat.overlay)]
    assert call("small_base_annotated", words, monkeypatch) == 2
    said = capsys.readouterr()
    assert "AnchoredExperimentConfig" not in said.out
    assert str(chat.overlay) in said.err
    words = ["--dry-run", "--load-path", str(prose.tokens)]
    assert call("small_base_annotated", words, monkeypatch) == 2
    assert "no checkpoint there" in capsys.readouterr().err


def test_an_instance_must_hold_an_annotation(
    chat: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = max(map(len, chat.annotations[0].values()))
    words = ["--dry-run", "--tokens", str(chat.tokens), "--overlay", str(chat.overlay)]
    words += ["--dataset.refuse_long=false", f"--dataset.sequence_length={longest}"]
    words.append(f"--data_loader.global_batch_size={8 * longest}")
    assert call("story_sft_anchored", words, monkeypatch) == 2
    assert f"an annotation of {longest} tokens" in capsys.readouterr().err
    # Arms that do not mask by role never look for the annotation that a row lies in.
    assert call("story_sft_standard", words, monkeypatch) == 0


def unloaded_run(folder: Path, tokenizer: AnchorTokenizer, layout: str | None) -> Path:
    """What a run's folder has for `find_checkpoint`, and its tokenizer."""
    tokenizer.save(folder / "tokenizer")
    for name in ("model_and_optim/.metadata", "train/rank0.pt", ".metadata.json"):
        path = folder / "step4" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    torch.save({}, folder / "step4" / "train" / "rank0.pt")
    (folder / "config.json").write_text(json.dumps({"layout": layout}))
    return folder


@pytest.mark.parametrize(
    ("names", "layout", "reason"),
    [
        ({}, None, None),
        ({}, "olmo", None),
        ({"delimiters": ("<|extra_id_2|>", "<|extra_id_1|>")}, None, "delimiters"),
        ({"pad": "<|im_start|>"}, None, "pad"),
        ({"layout": "plain"}, "plain", "layout 'plain'"),
        # A base model's own documents have no layout.
        ({"layout": "plain"}, None, None),
    ],
)
def test_weights_of_a_run_with_other_control_tokens_are_refused(
    names: dict[str, Any],
    layout: str | None,
    reason: str | None,
    chat: Corpus,
    tiny_tokenizer_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run = unloaded_run(tmp_path / "b", AnchorTokenizer.load(tiny_tokenizer_file, **names), layout)
    words = ["--dry-run", "--tokens", str(chat.tokens), "--overlay", str(chat.overlay)]
    code = call("story_sft_anchored", [*words, "--load-path", str(run)], monkeypatch)
    said = capsys.readouterr().err
    assert code == (2 if reason else 0), said
    if reason:
        assert reason in said


def test_a_variable_that_is_set_is_not_said_to_have_another_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert call("story_sft_anchored", ["--dry-run"], monkeypatch) == 0
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    caplog.clear()
    caplog.set_level("WARNING", logger="olmo_core")
    utils.set_env_variables()
    assert "OMP_NUM_THREADS" not in caplog.text
    # The fault upstream, which the filter is for.
    for known in list(utils.log.filters):
        utils.log.removeFilter(known)
    utils.set_env_variables()
    assert "OMP_NUM_THREADS' since it's already set to '8'" in caplog.text


def test_data_of_less_than_a_batch_is_refused_by_a_run_too(
    prose: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    words = ["--tokens", str(prose.tokens), "--overlay", str(prose.overlay)]
    words += ["--save-folder", str(run), f"--data_loader.global_batch_size={100 * 256}"]
    assert call("small_base_annotated", words, monkeypatch) == 2
    assert "and one batch takes 100" in capsys.readouterr().err
    assert not (run / "config.json").exists()
