"""Experiments: one config for everything, and builders that fill it in.

A file in ``train_configs/`` chooses; this module holds the mechanism::

    def build(inputs: Inputs) -> AnchoredExperimentConfig:
        return experiment(inputs, model=..., optim=..., rows=12, sequence_length=176, ...)
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from olmo_core.config import Config
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import (
    ComposableDataLoaderConfig,
    ConcatAndChunkInstanceSourceConfig,
    InstanceSourceConfig,
)
from olmo_core.distributed.parallel import DataParallelType
from olmo_core.nn.attention import AttentionBackendName
from olmo_core.nn.transformer import TransformerBlockType, TransformerConfig
from olmo_core.optim import AdamWConfig, OptimGroupOverride
from olmo_core.optim.scheduler import Scheduler
from olmo_core.train import Duration, LoadStrategy, TrainerConfig
from olmo_core.train.callbacks import (
    CheckpointerCallback,
    ConfigSaverCallback,
    ConsoleLoggerCallback,
)
from olmo_core.train.train_module import (
    TransformerDataParallelConfig,
    TransformerTrainModuleConfig,
)

from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.callbacks import (
    AnchorStateCallback,
    MetricsFileCallback,
    TrimPaddingCallback,
)
from olmo_anchor.training.collator import AnchorCollatorConfig
from olmo_anchor.training.drift import AnchorDriftCallbackConfig
from olmo_anchor.training.instances import PaddedInstanceSourceConfig
from olmo_anchor.training.mixture import Mixture, document_sources
from olmo_anchor.training.role_counts import RoleCountsCallback
from olmo_anchor.training.source import InterleavedDocumentSourceConfig
from olmo_anchor.training.train_module import AnchorTrainModuleConfig

__all__ = [
    "AnchoredExperimentConfig",
    "Inputs",
    "adamw",
    "data_parallel",
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
    """A run's save folder or one of its checkpoints, to take the weights from (nothing else)."""
    start_like: dict[str, str] = field(default_factory=dict)
    """Tokens that the loaded weights never saw, and the text whose embedding each starts with."""
    tokenizer_hash: str = ""
    layout: str | None = None
    """Of the conversations, one of :data:`~olmo_anchor.tokenizer.LAYOUTS`; None for documents."""
    inputs: list[str] = field(default_factory=list)
    """The TOKENS_DIRs and OVERLAY_DIRs that are read."""


@dataclass(frozen=True)
class Inputs:
    """What the command line named: where the data is, and where the run goes.

    Without ``tokens`` (a dry run on a machine that has no data) dolma2's sizes stand in.
    """

    tokens: str | None
    overlay: str | None
    save_folder: str
    load_path: str | None = None
    seed: int = 0
    """Of the initialisation, the order of the data and the value-only choice."""

    @cached_property
    def anchor_tokenizer(self) -> AnchorTokenizer | None:
        """:raises InputError: when the TOKENS_DIR is unfinished or holds another tokenizer."""
        return None if self.tokens_dir is None else self.tokens_dir.tokenizer()

    @cached_property
    def tokens_dir(self) -> TokensDir | None:
        """The first of a mixture's, which all have the same tokenizer.

        :raises InputError: when the TOKENS_DIR is unfinished.
        """
        if self.mixture is not None:
            return TokensDir.open(self.mixture.sources[0].tokens)
        return None if self.tokens is None else TokensDir.open(Path(self.tokens))

    @cached_property
    def mixture(self) -> Mixture | None:
        """None where ``tokens`` is a TOKENS_DIR.

        :raises InputError: when it is no mixture, or an overlay is named beside it.
        """
        if self.tokens is None or Path(self.tokens).suffix not in (".yaml", ".yml"):
            return None
        if self.overlay is not None:
            raise InputError(f"{self.tokens}: each source of a mixture brings its own overlay")
        return Mixture.load(Path(self.tokens))

    @property
    def folders(self) -> list[str]:
        """The TOKENS_DIRs and OVERLAY_DIRs that are read."""
        if self.mixture is None:
            return [path for path in (self.tokens, self.overlay) if path is not None]
        named = [(source.tokens, source.overlay) for source in self.mixture.sources]
        return [str(path) for pair in named for path in pair if path is not None]

    @property
    def layout(self) -> str | None:
        """Of the conversations; None for documents."""
        if self.tokens_dir is None or not self.tokens_dir.chat:
            return None
        assert self.anchor_tokenizer is not None
        return self.anchor_tokenizer.layout

    @property
    def tokenizer(self) -> TokenizerConfig:
        if (tokenizer := self.anchor_tokenizer) is None:
            return TokenizerConfig.dolma2()
        return TokenizerConfig(
            vocab_size=tokenizer.vocab_size,
            eos_token_id=tokenizer.control.end_of_text,
            pad_token_id=tokenizer.pad_id,
        )

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding: padded to a multiple of 128, as OLMo-core does."""
        return self.tokenizer.padded_vocab_size()


def olmo2_like(
    *, d_model: int, n_layers: int, n_heads: int, vocab_size: int, **kwargs: Any
) -> TransformerConfig:
    """OLMo 2's architecture at any size: reordered norm, normed queries and keys, no biases."""
    return TransformerConfig.llama_like(
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        vocab_size=vocab_size,
        block_name=TransformerBlockType.reordered_norm,
        qk_norm=True,
        layer_norm_eps=1e-6,
        attn_backend=kwargs.pop("attn_backend", AttentionBackendName.torch),
        **kwargs,
    )


def adamw(*, lr: float, weight_decay: float, eps: float = 1e-8) -> AdamWConfig:
    """AdamW with OLMo 2's betas; embeddings are not decayed."""
    embeddings = OptimGroupOverride(params=["embeddings.weight"], opts={"weight_decay": 0.0})
    return AdamWConfig(
        lr=lr,
        weight_decay=weight_decay,
        eps=eps,
        betas=(0.9, 0.95),
        group_overrides=[embeddings] if weight_decay else None,
    )


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
    duration: Duration | None = None,
    group_by_length: bool = False,
    chunked: bool = False,
    refuse_long: bool = False,
    start_like: dict[str, str] | None = None,
    held_out: InstanceSourceConfig | None = None,
    save_interval: int = 250,
    log_interval: int = 50,
) -> AnchoredExperimentConfig:
    """An experiment on a TOKENS_DIR and its overlay.

    :param sequence_length: tokens in an instance. Instances hold one document each, padded, and a
        longer document is cut: best is the length of the longest.
    :param rows: instances in a global batch, over all ranks.
    :param annotations: whether the overlay's annotations are laid into the corpus.
    :param max_tokens: budget of an epoch, padding not counted.
    :param duration: default one epoch.
    :param group_by_length: put documents of similar length into one batch.
    :param chunked: pretraining on long documents: lay them end to end and cut the whole into
        instances, as OLMo-core does. Not for policies that mask by role.
    :param refuse_long: refuse documents longer than an instance, instead of cutting them.
    :param start_like: tokens that the loaded weights never saw, such as a chat template's, and the
        text whose embedding each starts with (see ``embeddings.py``).
    :param held_out: documents that are not trained on, to measure the drift of the annotations.
    """
    tokenizer, loaded, seed = inputs.tokenizer, inputs.anchor_tokenizer, inputs.seed
    save_folder = Path(inputs.save_folder)
    work_dir = str(save_folder / "work")
    collator = AnchorCollatorConfig(policy=policy, seed=seed, require_targets=False)
    if loaded is not None:
        collator.control = asdict(loaded.control)
    source = InterleavedDocumentSourceConfig(
        tokens=inputs.tokens or "", overlay=inputs.overlay, annotations=annotations
    )
    dataset: InstanceSourceConfig
    if inputs.mixture is not None:
        if not chunked:
            raise InputError(f"{inputs.tokens}: this recipe takes one TOKENS_DIR, no mixture")
        dataset = inputs.mixture.config(
            sequence_length=sequence_length, annotations=annotations, seed=seed
        )
    elif chunked:
        dataset = ConcatAndChunkInstanceSourceConfig([source], sequence_length)
    else:
        dataset = PaddedInstanceSourceConfig(
            sources=[source],
            sequence_length=sequence_length,
            tokenizer=tokenizer,
            max_tokens=max_tokens,
            group_rows=rows if group_by_length else None,
            refuse_long=refuse_long,
            seed=seed,
        )
    return AnchoredExperimentConfig(
        model=model.replace(init_seed=seed),
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
            display_source_visualization=False,
        ),
        train_module=AnchorTrainModuleConfig(
            rank_microbatch_size=rows // _world_size() * sequence_length,
            max_sequence_length=sequence_length,
            optim=optim,
            scheduler=scheduler,
            max_grad_norm=1.0,
            # OLMo-core refuses one outside of a process group.
            dp_config=data_parallel() if "WORLD_SIZE" in os.environ else None,
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
            callbacks={
                "anchor_state": AnchorStateCallback(),
                "checkpointer": CheckpointerCallback(
                    save_interval=save_interval,
                    pre_train_checkpoint=False,
                    max_checkpoints=2,
                    # Saved asynchronously, each rank records a metric when its own part is done.
                    # Ranks then reduce different metrics, and wait for each other for ever.
                    save_async=False,
                ),
                "config_saver": ConfigSaverCallback(),
                "console_logger": ConsoleLoggerCallback(
                    log_interval=log_interval,
                    metrics_log_interval=log_interval,
                    metrics=["train/CE loss", "trained/*", "optim/LR*", "throughput/device/TPS"],
                ),
                "drift": AnchorDriftCallbackConfig(dataset=held_out, enabled=held_out is not None),
                "metrics_file": MetricsFileCallback(),
                "role_counts": RoleCountsCallback(),
                "trim_padding": TrimPaddingCallback(pad_token_id=tokenizer.pad_token_id),
            },
        ),
        init_seed=seed,
        load_path=inputs.load_path,
        start_like=start_like or {},
        tokenizer_hash=loaded.hash if loaded is not None else "",
        layout=inputs.layout,
        inputs=inputs.folders,
    )


def _world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def data_parallel() -> TransformerDataParallelConfig:
    """How recipes spread a batch over processes."""
    return TransformerDataParallelConfig(name=DataParallelType.hsdp)


def lay_in_annotations(
    config: AnchoredExperimentConfig, policy: MaskPolicy = MaskPolicy.full
) -> AnchoredExperimentConfig:
    """The annotated sibling of an experiment: the same but for the annotations and the policy."""
    config = config.copy()
    drift = config.trainer.callbacks["drift"]
    assert isinstance(drift, AnchorDriftCallbackConfig)
    for dataset in (config.dataset, drift.dataset):
        for source in document_sources(dataset) if dataset is not None else ():
            source.annotations = True
    config.collator.policy = policy
    return config
