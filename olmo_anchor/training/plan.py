"""What ``--dry-run`` prints below the resolved config."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict

from olmo_core.train.common import Duration, DurationUnit

from olmo_anchor.training.checks import steps_an_epoch
from olmo_anchor.training.estimate import MFU, flops_per_token, gpu_hours, memory
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.indexed import IndexedInstanceSource
from olmo_anchor.training.instances import PaddedInstanceSourceConfig
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.selection import DocumentSelection

__all__ = ["plan"]


def plan(config: AnchoredExperimentConfig, hardware: Hardware) -> list[str]:
    """Lines about parameters, data, steps, operations, GPU-hours and memory.

    Without data, tokens and steps are those of the data that the recipe is for, where it says so.
    """
    return [*_model(config), *_data_and_cost(config, hardware)]


def _model(config: AnchoredExperimentConfig) -> Iterator[str]:
    parameters, inner = config.model.num_params, config.model.num_non_embedding_params
    yield f"parameters: {parameters:,} ({inner:,} without the embedding)"


def _data_and_cost(config: AnchoredExperimentConfig, hardware: Hardware) -> Iterator[str]:
    batch, length = config.data_loader.global_batch_size, config.train_module.max_sequence_length
    assert batch is not None
    rows, epoch = batch // length, None
    if config.inputs:
        with tempfile.TemporaryDirectory() as work_dir:
            dataset = config.dataset.build(work_dir)
            if isinstance(dataset, IndexedInstanceSource):
                counts = asdict(dataset.counts).items()
                yield "data: " + ", ".join(f"{name} {count:,}" for name, count in counts)
            epoch = steps_an_epoch(config, dataset)
        yield f"batch: {rows} instances, {epoch:,} steps an epoch"
    elif config.expected_tokens is not None:
        epoch = _expected_steps(config, rows, batch)
        yield (
            f"batch: {rows} instances; without --tokens the recipe's own data is taken, about "
            f"{config.expected_tokens:,} tokens: {epoch:,} steps an epoch"
        )
    else:
        yield f"batch: {rows} instances of {length} tokens"
    duration = config.trainer.max_duration
    yield f"duration: {duration.value:,} {duration.unit}"
    steps = _steps(duration, batch, epoch)
    if steps is None:
        yield "steps are unknown without --tokens"
        return
    yield from _cost(config, hardware, steps)


def _expected_steps(config: AnchoredExperimentConfig, rows: int, batch: int) -> int:
    assert config.expected_tokens is not None
    chosen = getattr(config.dataset, "selection", None)
    share = 1.0
    if isinstance(chosen, DocumentSelection):
        share = chosen.share * (1 - chosen.held_out if chosen.split == "train" else 1)
    # A padded row holds one document, however short.
    if isinstance(config.dataset, PaddedInstanceSourceConfig) and config.expected_documents:
        return int(config.expected_documents * share) // rows
    return int(config.expected_tokens * share) // batch


def _steps(duration: Duration, batch: int, epoch: int | None) -> int | None:
    if duration.unit == DurationUnit.steps:
        return duration.value
    if duration.unit == DurationUnit.tokens:
        return -(-duration.value // batch)
    return None if epoch is None else duration.value * epoch


def _cost(config: AnchoredExperimentConfig, hardware: Hardware, steps: int) -> Iterator[str]:
    batch, length = config.data_loader.global_batch_size, config.train_module.max_sequence_length
    assert batch is not None
    flops = flops_per_token(config.model, length) * steps * batch
    yield f"steps: {steps:,} of {batch:,} tokens, {steps * batch:,} in all (padding counted)"
    yield f"operations: {flops:.2e}"
    if not hardware.gpu:
        yield "no GPU here: --gpus N tells GPU-hours and memory"
        return
    hours, gpus = gpu_hours(flops), hardware.ranks
    yield (
        f"time: about {hours:,.1f} GPU-hours of H100s at {MFU:.0%} of their peak, "
        f"{hours / gpus:,.1f} hours on {gpus}"
    )
    needs = memory(config.model, config.train_module.rank_microbatch_size, gpus)
    parts = ", ".join(f"{name} {size:.1f}" for name, size in asdict(needs).items())
    yield f"memory: about {needs.total:.0f} GiB on each GPU ({parts}); estimated, not measured"
