"""Experiments: one config for everything, and builders that fill it in.

A file in ``train_configs/`` chooses; this module holds the mechanism::

    def build(inputs: Inputs) -> AnchoredExperimentConfig:
        return experiment(inputs, model=..., optim=..., rows=12, sequence_length=176, ...)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from olmo_core.config import Config
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import (
    ComposableDataLoaderConfig,
    ConcatAndChunkInstanceSourceConfig,
    InstanceSourceConfig,
)
from olmo_core.nn.attention import AttentionBackendName
from olmo_core.nn.transformer import TransformerConfig
from olmo_core.optim import AdamWConfig
from olmo_core.optim.scheduler import Scheduler
from olmo_core.train import Duration, LoadStrategy, TrainerConfig
from olmo_core.train.train_module import TransformerTrainModuleConfig

from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.collator import AnchorCollatorConfig
from olmo_anchor.training.declared import declared_callbacks
from olmo_anchor.training.drift import AnchorDriftCallbackConfig
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.inputs import Inputs
from olmo_anchor.training.instances import PaddedInstanceSourceConfig
from olmo_anchor.training.mixture import document_sources
from olmo_anchor.training.models import adamw, olmo2_like, set_attention
from olmo_anchor.training.packing import PackedInstanceSourceConfig
from olmo_anchor.training.selection import DocumentSelection
from olmo_anchor.training.source import InterleavedDocumentSourceConfig
from olmo_anchor.training.train_module import AnchorTrainModuleConfig

__all__ = [
    "AnchoredExperimentConfig",
    "Inputs",
    "adamw",
    "experiment",
    "lay_in_annotations",
    "olmo2_like",
]


@dataclass
class AnchoredExperimentConfig(Config):
    """Everything that decides a run; ``config.json`` in the save folder is this, resolved."""

    model: TransformerConfig
    tokenizer: TokenizerConfig
    dataset: InstanceSourceConfig
    collator: AnchorCollatorConfig
    data_loader: ComposableDataLoaderConfig
    train_module: TransformerTrainModuleConfig
    trainer: TrainerConfig
    init_seed: int = 0
    load_path: str | None = None
    """What to take the weights from, and nothing else: a run's save folder, one of its checkpoints,
    or a Hugging Face model, as a folder or as a name on the hub."""
    start_like: dict[str, str] = field(default_factory=dict)
    """Tokens that the loaded weights never saw, and the text whose embedding each starts with."""
    tokenizer_hash: str = ""
    layout: str | None = None
    """Of the conversations, one of :data:`~olmo_anchor.tokenizer.LAYOUTS`; None for documents."""
    inputs: list[str] = field(default_factory=list)
    """The TOKENS_DIRs and OVERLAY_DIRs that are read."""
    expected_tokens: int | None = None
    """In the data that the recipe is for: what a dry run without data goes by."""
    expected_documents: int | None = None
    """The same; of rows that hold one each."""


def experiment(
    inputs: Inputs,
    *,
    model: TransformerConfig,
    optim: AdamWConfig,
    scheduler: Scheduler,
    sequence_length: int,
    rows: int,
    annotations: bool,
    policy: MaskPolicy = MaskPolicy.full,
    max_tokens: int | None = None,
    expected_tokens: int | None = None,
    expected_documents: int | None = None,
    duration: Duration | None = None,
    group_by_length: bool = False,
    chunked: bool = False,
    refuse_long: bool = False,
    accelerate: bool = False,
    packed_rows: int | None = None,
    microbatch_rows: int | None = None,
    z_loss: float | None = None,
    start_like: dict[str, str] | None = None,
    held_out: bool = False,
    save_interval: int = 250,
    log_interval: int = 50,
) -> AnchoredExperimentConfig:
    """An experiment on a TOKENS_DIR and its overlay.

    :param sequence_length: tokens in an instance. Instances hold one document each, padded, and a
        longer document is cut: best is the length of the longest.
    :param rows: instances in a global batch, over all ranks.
    :param annotations: whether the overlay's annotations are laid into the corpus.
    :param max_tokens: budget of an epoch, padding not counted; with ``chunked`` of the run.
    :param expected_tokens: in the data that the recipe is for, for a dry run without data.
    :param expected_documents: the same.
    :param duration: default one epoch, or ``max_tokens`` of a ``chunked`` run.
    :param group_by_length: put documents of similar length into one batch.
    :param chunked: pretraining on long documents: lay them end to end and cut the whole into
        instances, as OLMo-core does. Not for policies that mask by role.
    :param refuse_long: refuse documents longer than an instance, instead of cutting them.
    :param accelerate: flash attention, ``torch.compile`` and packed rows where the hardware has
        them. A model that is small enough for a CPU does without.
    :param packed_rows: instances in a global batch where rows are packed, several documents each.
    :param microbatch_rows: the most rows that a rank computes at once; default all of its rows.
    :param z_loss: weight of OLMo 2's penalty on the partition function.
    :param start_like: tokens that the loaded weights never saw, such as a chat template's, and the
        text whose embedding each starts with (see ``embeddings.py``).
    :param held_out: train on the train split of the documents alone, and measure the held-out loss
        and the drift of the annotations on the others. Documents laid end to end have no splits.
    :raises InputError: when the rows cannot be dealt evenly to the ranks, or the data is none that
        the recipe takes.
    """
    tokenizer, loaded, seed = inputs.tokenizer, inputs.anchor_tokenizer, inputs.seed
    hardware = (
        inputs.hardware
        if accelerate
        else replace(inputs.hardware, attention=AttentionBackendName.torch)
    )
    packed = packed_rows is not None and hardware.separates_documents
    if packed_rows is not None and packed:
        rows = packed_rows
    save_folder = Path(inputs.save_folder)
    work_dir = str(save_folder / "work")
    collator = AnchorCollatorConfig(policy=policy, seed=seed, require_targets=False)
    if loaded is not None:
        collator.control = asdict(loaded.control)
    source = InterleavedDocumentSourceConfig(
        tokens=inputs.tokens or "", overlay=inputs.overlay, annotations=annotations
    )
    documents: dict[str, Any] = {
        "sequence_length": sequence_length,
        "tokenizer": tokenizer,
        "refuse_long": refuse_long,
    }
    others = PaddedInstanceSourceConfig(
        # Of a corpus that is laid end to end the user names another one to measure drift on.
        sources=[source.replace(tokens="", overlay=None) if chunked else source.copy()],
        selection=None if chunked else DocumentSelection(split="held_out"),
        **documents,
    )
    dataset: InstanceSourceConfig
    if inputs.mixture is not None:
        if not chunked:
            raise InputError(f"{inputs.tokens}: this recipe takes one TOKENS_DIR, no mixture")
        mixture = replace(inputs.mixture, tokens=max_tokens or inputs.mixture.tokens)
        dataset = mixture.config(
            sequence_length=sequence_length, annotations=annotations, seed=seed
        )
    elif chunked:
        dataset = ConcatAndChunkInstanceSourceConfig([source], sequence_length)
    else:
        documents["sources"] = [source]
        documents["selection"] = DocumentSelection(split="train" if held_out else "all")
        if packed:
            dataset = PackedInstanceSourceConfig(**documents)
        else:
            dataset = PaddedInstanceSourceConfig(
                max_tokens=max_tokens,
                group_rows=rows if group_by_length else None,
                seed=seed,
                **documents,
            )
    if duration is None and chunked and max_tokens is not None:
        duration = Duration.tokens(max_tokens)
    compiled = accelerate and hardware.gpu and (chunked or packed)
    return AnchoredExperimentConfig(
        model=set_attention(model, hardware.attention).replace(init_seed=seed),
        tokenizer=tokenizer,
        dataset=dataset,
        collator=collator,
        data_loader=ComposableDataLoaderConfig(
            tokenizer=tokenizer,
            global_batch_size=rows * sequence_length,
            seed=seed,
            work_dir=work_dir,
            shuffle=not group_by_length,
            # The default four threads contend for the interpreter: one is faster.
            num_threads=0,
            generate_doc_lengths=hardware.separates_documents,
            display_source_visualization=False,
        ),
        train_module=AnchorTrainModuleConfig(
            rank_microbatch_size=_rows_at_once(rows, hardware, microbatch_rows) * sequence_length,
            max_sequence_length=sequence_length,
            optim=optim,
            scheduler=scheduler,
            max_grad_norm=1.0,
            z_loss_multiplier=z_loss,
            compile_model=compiled,
            dp_config=hardware.data_parallel(),
        ),
        trainer=TrainerConfig(
            save_folder=str(save_folder),
            work_dir=work_dir,
            # A killed run leaves a torn checkpoint of the step that it comes to again.
            save_overwrite=True,
            load_strategy=LoadStrategy.never,  # launch.py loads, by its own rules
            max_duration=duration or Duration.epochs(1),
            metrics_collect_interval=log_interval,
            cancel_check_interval=10,
            # In a thread of their own, ranks would hear of a signal at different steps, and wait
            # for each other for ever.
            async_bookkeeping=False,
            callbacks=declared_callbacks(
                tokenizer,
                hardware,
                drift=AnchorDriftCallbackConfig(dataset=others, enabled=held_out),
                save_interval=save_interval,
                log_interval=log_interval,
                trim_padding=not compiled,
            ),
        ),
        init_seed=seed,
        load_path=inputs.load_path,
        start_like=start_like or {},
        tokenizer_hash=loaded.hash if loaded is not None else "",
        layout=inputs.layout,
        inputs=inputs.folders,
        expected_tokens=expected_tokens,
        expected_documents=expected_documents,
    )


def _rows_at_once(rows: int, hardware: Hardware, most: int | None) -> int:
    """How many rows a rank computes at once: as many as it has, or a divisor of that."""
    each, over = divmod(rows, hardware.ranks)
    if over or not each:
        raise InputError(
            f"a batch of {rows} rows cannot be dealt to {hardware.ranks} ranks evenly; start a "
            f"number of ranks that divides {rows}"
        )
    return max(size for size in range(1, each + 1) if each % size == 0 and size <= (most or each))


def lay_in_annotations(
    config: AnchoredExperimentConfig, policy: MaskPolicy = MaskPolicy.full
) -> AnchoredExperimentConfig:
    """The annotated sibling of an experiment: the same but for the annotations and the policy."""
    config = config.copy()
    drift = config.trainer.callbacks["drift"]
    assert isinstance(drift, AnchorDriftCallbackConfig)
    assert drift.dataset is not None
    for dataset in (config.dataset, drift.dataset):
        for source in document_sources(dataset):
            source.annotations = True
    config.collator.policy = policy
    return config
