"""What a training step costs with our source and collator, beside OLMo-core's on the same tokens.

    torchrun --nproc-per-node=1 benchmarks/train_step.py --tokenizer tokenizer.json --size 600M

Trains a model of the recipes on random tokens (the corpus of read.py): with OLMo-core's reader,
collator and train module on stock files; with ours on tokens and overlay, as the recipes have it;
and with ours under the policy that masks annotations, where rows are as long as the documents. In
turns, each several times in one process, by OLMo-core's trainer; medians of the time from one step
to the next, loading included. MFU is the model's own operations over what an H100 could do in
bfloat16.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from olmo_core.data import DataCollator
from olmo_core.data.composable import ConcatAndChunkInstanceSourceConfig, NumpyDocumentSourceConfig
from olmo_core.train import (
    Duration,
    TrainerConfig,
    prepare_training_environment,
    teardown_training_environment,
)
from olmo_core.train.callbacks import Callback, ConsoleLoggerCallback
from olmo_core.train.train_module import TransformerTrainModuleConfig
from read import LENGTH, write_corpus

from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.estimate import H100_FLOPS, flops_per_token
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.inputs import Inputs
from olmo_anchor.training.recipes import AnchoredExperimentConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "train_configs"))
import full_size

ARMS = ("stock", "ours", "ours, anchored")


@dataclass
class Stopwatch(Callback):
    """Seconds from the end of one step to the end of the next."""

    seconds: list[float] = field(default_factory=list)
    _last: float | None = None

    def post_step(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now


def train(arm: str, config: AnchoredExperimentConfig, files: Path, steps: int) -> list[float]:
    """Seconds of each step but the first."""
    module, dataset = config.train_module, config.dataset
    collator: DataCollator = config.collator.build(
        pad_token_id=config.tokenizer.pad_token_id, vocab_size=config.model.vocab_size
    )
    if arm == "stock":
        facts = module.as_dict(recurse=False)
        module = TransformerTrainModuleConfig(**facts)
        source = NumpyDocumentSourceConfig(
            source_paths=[str(files / "stock/ids.npy")],
            label_mask_paths=[str(files / "stock/mask.npy")],
            tokenizer=config.tokenizer,
        )
        dataset = ConcatAndChunkInstanceSourceConfig(
            [source], config.train_module.max_sequence_length
        )
        collator = DataCollator(
            pad_token_id=config.tokenizer.pad_token_id, vocab_size=config.model.vocab_size
        )
    elif arm == "ours, anchored":
        collator.policy = MaskPolicy.anchored  # type: ignore[attr-defined]
    if not torch.distributed.is_initialized():
        module = module.replace(
            dp_config=None, autocast_precision=module.dp_config and module.dp_config.param_dtype
        )
    train_module = module.build(config.model.build(init_device="meta"))
    work_dir = str(files / "work")
    loader = config.data_loader.replace(work_dir=work_dir).build(
        dataset.build(work_dir), collator=collator, dp_process_group=train_module.dp_process_group
    )
    watch = Stopwatch()
    callbacks: dict[str, Any] = {"watch": watch, "console_logger": ConsoleLoggerCallback()}
    trainer = TrainerConfig(
        save_folder=str(files / "run"),
        work_dir=work_dir,
        max_duration=Duration.steps(steps),
        no_checkpoints=True,
        metrics_collect_interval=steps,
        callbacks=callbacks,
    ).build(train_module, loader)
    trainer.fit()
    del trainer, train_module, loader
    gc.collect()
    torch.cuda.empty_cache()
    return watch.seconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--size", choices=list(full_size.SIZES), default="600M")
    parser.add_argument("--rows", type=int, help="in a batch; default what a rank computes at once")
    parser.add_argument("--steps", type=int, default=24, help="of each arm in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    size = full_size.SIZES[options.size]
    distributed = "WORLD_SIZE" in os.environ
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    prepare_training_environment(backend=backend if distributed else None)
    logging.disable(logging.WARNING)
    hardware = Hardware.here()
    spent: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch)
        tokenizer = AnchorTokenizer.load(options.tokenizer)
        rows = options.rows or size.microbatch_rows * hardware.ranks
        tokens = rows * size.length * (options.steps + 8)
        write_corpus(files, -(-tokens // LENGTH) * LENGTH, tokenizer)
        inputs = Inputs(
            str(files / "tokens"), str(files / "overlay"), str(files / "run"), hardware=hardware
        )
        config = full_size.pretraining(inputs, options.size, annotations=True)
        config.data_loader.global_batch_size = rows * size.length
        arms = ARMS if size.length == LENGTH else ARMS[:2]
        for _ in range(options.rounds):
            for arm in arms:
                spent[arm] += train(arm, config, files, options.steps)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(
        f"{options.size}, {rows} rows of {size.length}, {hardware.ranks} rank(s), {name}, ", end=""
    )
    print(f"attention {hardware.attention}, {time.strftime('%F')}\n")
    flops = flops_per_token(config.model, size.length)
    medians = {arm: statistics.median(seconds) for arm, seconds in spent.items()}
    print(f"{'':16}{'ms a step':>10}{'tokens/s':>10}{'MFU':>6}{'x stock':>9}")
    for arm, took in medians.items():
        rate = rows * size.length / took / hardware.ranks
        mfu = f"{rate * flops / H100_FLOPS:.2f}" if hardware.gpu else "-"
        ratio = medians["stock"] / took
        print(f"{arm:16}{took * 1e3:10.1f}{rate:10,.0f}{mfu:>6}{ratio:9.3f}")
    teardown_training_environment()


if __name__ == "__main__":
    main()
