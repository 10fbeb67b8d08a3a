"""The loss on several ranks is the loss on one; where upstream's is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from olmo_core.config import DType
from olmo_core.optim import AdamWConfig, SkipStepAdamWConfig
from olmo_core.train.train_module import (
    TransformerContextParallelConfig,
    TransformerDataParallelConfig,
    TransformerPipelineParallelConfig,
    TransformerTensorParallelConfig,
)

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.recipes import olmo2_like
from olmo_anchor.training.train_module import AnchorTrainModuleConfig
from tests.training.conftest import Corpus, annotate
from tests.training.folders import Documents, Masks, write_overlay, write_tokens
from tests.training.test_runs import STOP, launch, losses
from tests.training.tiny_runs import Recorder, fit, fit_on_ranks

# The targets of each row. Of two ranks the first has rows 0 and 2 of each batch of four: few.
UNEVEN = [*(1, 16, 2, 16), *(2, 16, 1, 3), *(5, 1, 16, 1)]
# In the second batch it has none, and in the third one micro-batch of each rank has none.
SOME_EMPTY = [*(1, 16, 2, 16), *(0, 16, 0, 3), *(5, 0, 0, 4)]

SKIP_STEPS = {"optim": SkipStepAdamWConfig(lr=1e-2, eps=1e-3), "max_grad_norm": 1.0}


def sharded(name: str, **options: Any) -> dict[str, Any]:
    return {"dp_config": TransformerDataParallelConfig(name=name), **options}  # type: ignore[arg-type]


def curve(recorder: Recorder, metric: str = "train/CE loss") -> list[float]:
    # Step 0 is the dry run's.
    return [recorder.metrics[step][metric] for step in sorted(recorder.metrics) if step > 0]


def largest_difference(one: Recorder, other: Recorder) -> float:
    """Of the gradients of all steps, relative to the largest gradient of their parameter."""
    return max(
        float((a[name] - b[name]).abs().max() / b[name].abs().max())
        for a, b in zip(one.gradients, other.gradients, strict=True)
        for name in b
    )


def assert_same(several: list[Recorder], one: Recorder) -> None:
    assert len(one.gradients) == 3
    for rank in several:
        assert largest_difference(rank, one) < 1e-5
        assert rank.parameters.keys() == one.parameters.keys()
        for name, parameter in one.parameters.items():
            torch.testing.assert_close(rank.parameters[name], parameter, rtol=0, atol=2e-6)
        assert curve(rank) == pytest.approx(curve(one), rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"z_loss_multiplier": 1e-2, **SKIP_STEPS},
        {"repeated": (1, 6)},
        {"autocast_precision": DType.bfloat16},
    ],
    ids=["default", "z-loss-and-skipped-steps", "masked-instances", "bfloat16"],
)
def test_one_rank_is_upstream_to_the_bit(options: dict[str, Any], tmp_path: Path) -> None:
    ours = fit(tmp_path / "a", UNEVEN, **options)
    theirs = fit(tmp_path / "b", UNEVEN, stock=True, **options)
    for one, other in zip(ours.gradients, theirs.gradients, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert all(torch.equal(ours.parameters[n], theirs.parameters[n]) for n in theirs.parameters)
    assert curve(ours) == curve(theirs)
    assert len(curve(ours)) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "both"),
    [
        (sharded("hsdp"), {}),
        (sharded("fsdp", micro=1), {}),
        (sharded("ddp", micro=1), {"z_loss_multiplier": 1e-2, **SKIP_STEPS}),
        (sharded("hsdp"), {"repeated": (1, 6)}),
    ],
    ids=["hsdp", "fsdp-accumulating", "ddp-z-loss-and-skipped-steps", "masked-instances"],
)
def test_two_ranks_train_as_one(
    options: dict[str, Any], both: dict[str, Any], tmp_path: Path
) -> None:
    one = fit(tmp_path / "one", SOME_EMPTY, **both)
    two = fit_on_ranks(2, tmp_path / "two", SOME_EMPTY, **options, **both)
    assert_same(two, one)
    if "repeated" in both:
        assert curve(two[0], "train/masked instances (%)") == [0.25, 0.25, 0]
    if "z_loss_multiplier" in both:
        for metric in ("train/Z loss", "optim/total grad norm"):
            assert curve(two[0], metric) == pytest.approx(curve(one, metric), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parallel",
    [
        {"cp_config": TransformerContextParallelConfig.ulysses(degree=2)},
        {"tp_config": TransformerTensorParallelConfig(degree=2)},
    ],
    ids=["context", "tensor"],
)
def test_ranks_that_share_their_rows_count_them_once(
    parallel: dict[str, Any], tmp_path: Path
) -> None:
    one = fit(tmp_path / "one", UNEVEN)
    assert_same(fit_on_ranks(2, tmp_path / "two", UNEVEN, **sharded("fsdp"), **parallel), one)


@pytest.mark.slow
def test_upstream_gives_tokens_the_weight_of_their_rank(tmp_path: Path) -> None:
    """When this fails, upstream divides by the global count, and our train module can go."""
    one = fit(tmp_path / "one", UNEVEN, stock=True)
    two = fit_on_ranks(2, tmp_path / "two", UNEVEN, stock=True, **sharded("hsdp"))
    assert largest_difference(two[0], one) > 1
    assert abs(curve(two[0])[0] - curve(one)[0]) > 0.01


@pytest.mark.slow
def test_a_batch_without_any_target_fails_on_every_rank(tmp_path: Path) -> None:
    trained = [*(1, 16, 2, 16), *(0, 0, 0, 0)]
    with pytest.raises(WorkFailed) as failed:
        fit_on_ranks(2, tmp_path, trained, **sharded("hsdp"))
    first, second = str(failed.value).splitlines()
    assert "no token of a batch is trained, in instances 4, 6." in first
    assert "no token of a batch is trained, in instances 5, 7." in second


def test_a_dry_run_without_any_target_goes_on(tmp_path: Path) -> None:
    # The rows of a dry run are random: these are the first step's.
    with pytest.raises(WorkFailed, match=r"instances 0, 1, 2, 3\. "):
        fit(tmp_path, [0, 0, 0, 0])


def test_pipeline_parallelism_is_refused() -> None:
    config = AnchorTrainModuleConfig(
        rank_microbatch_size=16,
        max_sequence_length=16,
        optim=AdamWConfig(),
        pp_config=TransformerPipelineParallelConfig(degree=2),
    )
    model = olmo2_like(d_model=32, n_layers=1, n_heads=2, vocab_size=64).build(init_device="meta")
    with pytest.raises(InputError, match=r"train_module\.pp_config"):
        config.build(model)


# --- the command that a user types ---------------------------------------------------------------


@pytest.fixture(scope="module")
def uneven_chat(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """64 conversations; every other response is 40 times as long."""
    documents: Documents = []
    masks: list[Masks] = [[]]
    laid = {}
    length = 0
    for number in range(64):
        user = tiny.encode(f"user {number}?")
        reply = [*tiny.encode(" cat" * (40 if number % 2 else 1)), tiny.control.end_of_text]
        laid[length + len(user)] = annotate(tiny, ("topic", f"mat {number}"))
        documents.append([*user, *reply])
        masks[0].append([False] * len(user) + [True] * len(reply))
        length += len(documents[-1])
    folder = tmp_path_factory.mktemp("uneven")
    tokens = write_tokens(folder / "tokens", [documents], tiny, masks, "all")
    overlay = write_overlay(folder / "overlay", tokens, [documents], [laid], tiny, masks=masks)
    return Corpus(tokens, overlay, [documents], [laid], tiny)


@pytest.mark.slow
def test_the_number_of_processes_does_not_change_a_run(uneven_chat: Corpus, tmp_path: Path) -> None:
    steps = "--trainer.max_duration.value=14"
    curves = []
    for ranks, then in ((1, None), (2, 1), (1, 2)):
        folder = tmp_path / f"{ranks}-{then}"
        stops = [] if then is None else [STOP]
        done = launch("story_sft_anchored", uneven_chat, folder, steps, *stops, processes=ranks)
        assert done.returncode == 0, done.stderr
        if then is not None:
            assert max(losses(folder)) == 7
            done = launch("story_sft_anchored", uneven_chat, folder, steps, processes=then)
            assert done.returncode == 0, done.stderr
        curves.append(losses(folder))
    assert sorted(curves[0]) == list(range(1, 15))
    assert curves[0][14] < curves[0][1] - 0.5
    for other in curves[1:]:
        assert other == pytest.approx(curves[0], rel=1e-5)


@pytest.mark.slow
def test_a_recipe_that_trains_nothing_names_the_documents(chat: Corpus, tmp_path: Path) -> None:
    nothing = "--collator.policy=annotation_only"  # and the standard arm has no annotations
    failed = launch("story_sft_standard", chat, tmp_path, nothing, processes=2)
    assert failed.returncode == 1
    (said,) = (line for line in failed.stderr.splitlines() if line.startswith("Error: "))
    assert "policy annotation_only: no token of a batch is trained, in documents" in said
    assert "olmo-anchor inspect" in said
