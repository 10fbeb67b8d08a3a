"""Terms beside the cross-entropy: against a plain formula, on two ranks, and over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from olmo_core.nn.transformer import Transformer
from olmo_core.optim import AdamWConfig
from olmo_core.train.train_module import (
    TransformerContextParallelConfig,
    TransformerDataParallelConfig,
    TransformerTensorParallelConfig,
)

from olmo_anchor.errors import InputError
from olmo_anchor.training.recipes import olmo2_like
from olmo_anchor.training.regularizer import RegularizerConfig, RegularizerKind
from olmo_anchor.training.train_module import AnchorTrainModule, AnchorTrainModuleConfig
from tests.training.conftest import Corpus
from tests.training.test_runs import STOP, launch
from tests.training.test_train_module import SOME_EMPTY, UNEVEN, assert_same, curve, sharded
from tests.training.tiny_runs import LENGTH, fit, fit_on_ranks

KINDS = (RegularizerKind.kl, RegularizerKind.entropy)
NAMES = {"kl": "train/KL", "entropy": "train/entropy"}


def model(seed: int) -> Transformer:
    config = olmo2_like(d_model=32, n_layers=1, n_heads=2, vocab_size=64).replace(init_seed=seed)
    built = config.build(init_device="cpu")
    built.init_weights(device=torch.device("cpu"))
    with torch.no_grad():
        built.lm_head.w_out.weight.mul_(20)  # predictions that are not all alike
    return built


def regularized(kind: str, weight: float, **options: Any) -> dict[str, Any]:
    config = RegularizerConfig(RegularizerKind(kind), weight, **options)
    return {"regularizer": config, "reference": model(1) if kind == "kl" else None}


def module(kind: str, weight: float, chunk: int = 1024) -> AnchorTrainModule:
    built = AnchorTrainModuleConfig(
        rank_microbatch_size=2 * LENGTH,
        max_sequence_length=LENGTH,
        optim=AdamWConfig(),
        regularizer=RegularizerConfig(RegularizerKind(kind), weight, chunk),
    ).build(model(0))
    built.model.load_state_dict(model(0).state_dict())
    if kind == "kl":
        built.set_reference(model(1))
    return built


@pytest.mark.parametrize("chunk", [1, 5, 1024])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_formula(kind: str, chunk: int) -> None:
    torch.manual_seed(0)
    ids = torch.randint(7, 64, (2, LENGTH))
    labels = torch.roll(ids, -1, 1).masked_fill(torch.rand(2, LENGTH) < 0.5, -100)
    ours = module(kind, 0.7, chunk)
    ours._loss_div_factor, ours._term = torch.tensor(3.0), torch.zeros(())
    output = ours.model_forward(
        ids,
        labels=labels,
        ignore_index=-100,
        loss_reduction="sum",
        loss_div_factor=torch.tensor(99.0),
        return_logits=False,
    )
    output.loss.backward()  # type: ignore[union-attr]

    plain, kept = model(0), labels != -100
    p = plain(ids)[kept].softmax(-1)
    term = -(p * p.log()).sum(-1)
    if kind == "kl":
        term = (p * (p.log() - model(1)(ids)[kept].log_softmax(-1))).sum(-1)
    cross_entropy = -p[range(len(p)), labels[kept]].log()
    sign = 1 if kind == "kl" else -1
    loss = (cross_entropy + sign * 0.7 * term).sum() / 3
    loss.backward()
    assert float(term.detach().mean()) > 0.1
    torch.testing.assert_close(output.loss, loss)  # type: ignore[union-attr]
    torch.testing.assert_close(output.ce_loss, cross_entropy.sum().detach() / 3)  # type: ignore[union-attr]
    torch.testing.assert_close(ours._term, term.sum().detach() / 3)
    for (name, one), other in zip(ours.model.named_parameters(), plain.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert (one.grad - other.grad).abs().max() < 1e-4 * other.grad.abs().max(), name


def test_a_model_does_not_diverge_from_itself() -> None:
    ours = module("kl", 1.0)
    ours.set_reference(model(0))
    ids = torch.arange(7, 7 + LENGTH)[None]
    ours._loss_div_factor, ours._term = torch.tensor(1.0), torch.zeros(())
    ours.model_forward(ids, labels=ids, loss_reduction="sum", loss_div_factor=torch.tensor(1.0))
    assert ours._term == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_zero_measures_and_changes_no_bit(kind: str, tmp_path: Path) -> None:
    with_term = fit(tmp_path / "a", UNEVEN, **regularized(kind, 0.0))
    without = fit(tmp_path / "b", UNEVEN)
    for one, other in zip(with_term.gradients, without.gradients, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)
    assert curve(with_term) == curve(without)
    measured = curve(with_term, NAMES[kind])
    assert min(measured) > 0.01
    assert NAMES[kind] not in without.metrics[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_moves_the_term_the_way_that_it_says(kind: str, tmp_path: Path) -> None:
    ends = {}
    for weight in (0.0, 10.0):
        recorder = fit(tmp_path / str(weight), UNEVEN * 4, **regularized(kind, weight))
        ends[weight] = curve(recorder, NAMES[kind])[-1]
    assert (ends[10.0] < ends[0.0]) == (kind == "kl")
    assert ends[10.0] != pytest.approx(ends[0.0], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("kl", sharded("hsdp")),
        ("kl", sharded("fsdp", micro=1)),
        ("entropy", sharded("fsdp", micro=1)),
        ("entropy", sharded("ddp")),
    ],
)
def test_two_ranks_train_as_one(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    # A rank without a target, and chunks that part the positions otherwise.
    term = regularized(kind, 0.5, chunk=3)
    one = fit(tmp_path / "one", SOME_EMPTY, **term)
    two = fit_on_ranks(2, tmp_path / "two", SOME_EMPTY, **options, **term)
    assert_same(two, one)
    assert curve(two[0], NAMES[kind]) == pytest.approx(curve(one, NAMES[kind]), rel=1e-4)


@pytest.mark.parametrize(
    "parallel",
    [
        {"cp_config": TransformerContextParallelConfig.ulysses(degree=2)},
        {"tp_config": TransformerTensorParallelConfig(degree=2)},
    ],
    ids=["context", "tensor"],
)
def test_ranks_that_share_their_rows_are_refused(parallel: dict[str, Any]) -> None:
    config = AnchorTrainModuleConfig(
        rank_microbatch_size=LENGTH,
        max_sequence_length=LENGTH,
        optim=AdamWConfig(),
        dp_config=TransformerDataParallelConfig(name="fsdp"),  # type: ignore[arg-type]
        regularizer=RegularizerConfig(RegularizerKind.entropy, 0.1),
        **parallel,
    )
    with pytest.raises(InputError, match=rf"train_module\.{next(iter(parallel))}: .*kind=none"):
        config.build(model(0))


# --- the command that a user types ---------------------------------------------------------------

KL = ("--train_module.regularizer.kind=kl", "--train_module.regularizer.weight=0.5")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_goes_on_from_the_model_that_it_started_from(
    processes: int, chat: Corpus, tmp_path: Path
) -> None:
    short = ("--trainer.max_duration.value=14", "--train_module.optim.lr=1e-2")
    assert launch("story_sft_standard", chat, tmp_path / "base", short[0]).returncode == 0
    start = ("--load-path", str(tmp_path / "base"), *short, *KL)
    runs: list[dict[int, list[float]]] = []
    for name, stops in (("whole", []), ("parted", [STOP])):
        folder = tmp_path / name
        for stop in (stops, []) if stops else ([],):
            done = launch("story_sft_standard", chat, folder, *start, *stop, processes=processes)
            assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
        runs.append({m["step"]: [m["train/CE loss"], m["train/KL"]] for m in lines})
    whole, parted = runs
    assert whole == parted
    assert whole[1][1] == pytest.approx(0, abs=1e-6)
    assert whole[14][1] > 1e-3

    # Another model to measure from is another run.
    moved = ("--load-path", str(tmp_path / "base" / "step10"), *short, *KL)
    folder = tmp_path / "moved"
    assert launch("story_sft_standard", chat, folder, *start, STOP).returncode == 0
    refused = launch("story_sft_standard", chat, folder, *moved)
    assert refused.returncode == 2
    assert "weights at the start was" in refused.stderr


def test_a_setting_that_is_none_is_refused(chat: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for words, said in (
        (["--train_module.regularizer.kind=kl"], "name it with --load-path"),
        (["--train_module.regularizer.kind=l2"], "'l2' is not a valid RegularizerKind"),
        (
            ["--train_module.regularizer.kind=entropy", "--train_module.regularizer.weight=-1"],
            "weight is -1",
        ),
    ):
        refused = launch("story_sft_standard", chat, folder, *words)
        assert refused.returncode == 2, refused.stderr
        assert said in refused.stderr
    assert not folder.exists()
