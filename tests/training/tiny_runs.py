"""Runs of a tiny model through OLMo-core's trainer, on rows whose masks are written by hand.

A run takes one epoch; rows are not shuffled, and of two ranks the first has the even rows.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import (
    ComposableDataLoaderConfig,
    ConcatAndChunkInstanceSource,
    InMemoryTokenSource,
    InstanceFilterConfig,
)
from olmo_core.distributed.utils import get_full_tensor
from olmo_core.nn.transformer import Transformer
from olmo_core.optim import AdamWConfig
from olmo_core.testing import run_distributed_test
from olmo_core.train import Duration, TrainerConfig
from olmo_core.train.callbacks import Callback
from olmo_core.train.train_module import TransformerTrainModuleConfig

from olmo_anchor.errors import WorkFailed
from olmo_anchor.spans import ControlIds
from olmo_anchor.training.collator import AnchorCollator
from olmo_anchor.training.recipes import olmo2_like
from olmo_anchor.training.train_module import AnchorTrainModuleConfig

LENGTH = 16
ROWS = 4  # of a global batch
CONTROL = ControlIds(open=1, close=2, colon=3, newline=4, end_of_text=5)
TOKENIZER = TokenizerConfig(vocab_size=64, eos_token_id=5, pad_token_id=6)


@dataclass
class Recorder(Callback):
    """Gradients of every step and parameters at the end, whole, by name; metrics by step."""

    gradients: list[dict[str, torch.Tensor]] = field(default_factory=list)
    parameters: dict[str, torch.Tensor] = field(default_factory=dict)
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)

    def _named(self) -> list[tuple[str, torch.nn.Parameter]]:
        named = self.trainer.train_module.model.named_parameters()  # type: ignore[attr-defined]
        return [(name.removeprefix("module."), parameter) for name, parameter in named]

    def pre_optim_step(self) -> None:
        self.gradients.append(
            {n: get_full_tensor(p.grad).clone() for n, p in self._named() if p.grad is not None}
        )

    def post_train(self) -> None:
        self.parameters = {n: get_full_tensor(p.detach()).clone() for n, p in self._named()}

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        self.metrics.setdefault(step, {}).update(metrics)


def fit(
    folder: Path,
    trained: list[int],
    *,
    stock: bool = False,
    micro: int = 2,
    repeated: tuple[int, ...] = (),
    reference: Transformer | None = None,
    **options: Any,
) -> Recorder:
    """Train in this process, or as one of the ranks that it belongs to.

    :param trained: for each row the number of its last tokens that are targets.
    :param stock: with OLMo-core's own train module.
    :param micro: rows that go through the model of a rank at once.
    :param repeated: rows of one token throughout, which the instance filter masks.
    :param reference: what a regularizer measures from.
    :param options: of the train module.
    """
    ids = np.random.default_rng(0).integers(7, TOKENIZER.vocab_size, (len(trained), LENGTH))
    ids[[*repeated]] = 7
    mask = [k >= LENGTH - count for count in trained for k in range(LENGTH)]
    source = InMemoryTokenSource(ids.flatten().tolist(), label_mask=mask, work_dir=folder)
    config = TransformerTrainModuleConfig if stock else AnchorTrainModuleConfig
    options.setdefault("optim", AdamWConfig(lr=1e-2, eps=1e-3))
    module = config(
        rank_microbatch_size=micro * LENGTH, max_sequence_length=LENGTH, **options
    ).build(olmo2_like(d_model=32, n_layers=1, n_heads=2, vocab_size=64).build(init_device="meta"))
    if reference is not None:
        module.set_reference(deepcopy(reference))  # type: ignore[attr-defined]
    collator = AnchorCollator(pad_token_id=6, control=CONTROL, require_targets=False)
    loader = ComposableDataLoaderConfig(
        tokenizer=TOKENIZER,
        global_batch_size=ROWS * LENGTH,
        seed=0,
        work_dir=str(folder),
        shuffle=False,
        num_threads=0,
        instance_filter_config=InstanceFilterConfig(repetition_max_count=8) if repeated else None,
        display_source_visualization=False,
    ).build(
        ConcatAndChunkInstanceSource(source, sequence_length=LENGTH, work_dir=folder),
        collator=collator,
        dp_process_group=module.dp_process_group,
    )
    recorder = Recorder()
    TrainerConfig(
        save_folder=str(folder / "run"),
        max_duration=Duration.epochs(1),
        metrics_collect_interval=1,
        callbacks={"recorder": recorder},
        no_checkpoints=True,
    ).build(module, loader).fit()  # type: ignore[no-untyped-call]
    return recorder


def fit_on_ranks(ranks: int, folder: Path, trained: list[int], **options: Any) -> list[Recorder]:
    """The same on several gloo ranks of this machine; what each of them recorded.

    :raises WorkFailed: when every rank did, with what each of them said.
    """
    run_distributed_test(
        _rank, ranks, start_method="spawn", func_args=(folder, trained), func_kwargs=options
    )
    said = [torch.load(folder / f"rank{rank}.pt") for rank in range(ranks)]
    if all(isinstance(words, str) for words in said):
        raise WorkFailed("\n".join(said))
    return [Recorder(*facts) for facts in said]


def _rank(folder: Path, trained: list[int], **options: Any) -> None:
    said: Any
    try:
        recorder = fit(folder, trained, **options)
        said = (recorder.gradients, recorder.parameters, recorder.metrics)
    except WorkFailed as failed:
        said = str(failed)
    torch.save(said, folder / f"rank{torch.distributed.get_rank()}.pt")
