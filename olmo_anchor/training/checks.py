"""What is wrong with an experiment's data and weights, said before anything is written."""

from __future__ import annotations

from pathlib import Path

import orjson
from olmo_core.data.composable import (
    ConcatAndChunkInstanceSourceConfig,
    InstanceSource,
    InstanceSourceConfig,
    MixingInstanceSourceConfig,
)

from olmo_anchor.corpus.overlay_files import OverlayDir
from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.drift import AnchorDriftCallbackConfig
from olmo_anchor.training.indexed import IndexedInstanceSourceConfig
from olmo_anchor.training.mixture import document_sources
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.reference import needs_reference
from olmo_anchor.training.save_folder import find_checkpoint
from olmo_anchor.training.selection import DocumentSelection
from olmo_anchor.training.start import HUB, check_hugging_face, is_hugging_face, local_folder
from olmo_anchor.training.train_module import AnchorTrainModuleConfig

__all__ = ["check_experiment", "steps_an_epoch"]

_DRIFT = "--trainer.callbacks.drift"


def check_experiment(config: AnchoredExperimentConfig, tokenizer: AnchorTokenizer | None) -> None:
    """Open the data and look at the run to start from; nothing is written, no token read.

    :param tokenizer: of the data; None on a dry run that has none.
    :raises InputError: when data, masks and checkpoint do not fit each other.
    """
    if config.load_path is not None and is_hugging_face(config.load_path):
        # A dry run does not download what it only looks at.
        if tokenizer is not None or not config.load_path.startswith(HUB):
            check_hugging_face(local_folder(config.load_path), config.model, tokenizer)
    elif config.load_path is not None:
        run = find_checkpoint(Path(config.load_path)).parent
        if tokenizer is not None:
            _check_same_tokenizer(run, tokenizer)
            _check_same_layout(run, config.layout)
    if isinstance(config.train_module, AnchorTrainModuleConfig):
        config.train_module.regularizer.check()
    if needs_reference(config) and config.load_path is None:
        raise InputError(
            "train_module.regularizer.kind=kl measures from the model that the run starts from; "
            "name it with --load-path"
        )
    policy = MaskPolicy(config.collator.policy)
    chunked = isinstance(
        config.dataset, ConcatAndChunkInstanceSourceConfig | MixingInstanceSourceConfig
    )
    if chunked and policy.masks_by_role:
        raise InputError(
            f"the policy {policy} masks by role, which needs instances that begin at a document; "
            "this recipe cuts documents into chunks"
        )
    for source in document_sources(config.dataset):
        if config.inputs:
            _, overlay = source.open()
            if overlay is not None and source.annotations and policy.masks_by_role:
                assert isinstance(config.dataset, IndexedInstanceSourceConfig)  # no chunks
                _check_length(overlay, config.dataset.sequence_length)
    drift = config.trainer.callbacks.get("drift")
    if tokenizer is not None and isinstance(drift, AnchorDriftCallbackConfig) and drift.enabled:
        _check_held_out(config, drift, tokenizer)


def steps_an_epoch(config: AnchoredExperimentConfig, dataset: InstanceSource) -> int:
    """Whole batches in an epoch of the instances; what is left over is not trained.

    :raises InputError: when there is none: a run would take no step, or look for one for ever.
    """
    batch = config.data_loader.global_batch_size
    assert batch is not None
    rows = batch // dataset.sequence_length
    if not len(dataset) or len(dataset) < rows:
        raise InputError(
            f"{', '.join(config.inputs)}: {len(dataset):,} instances of "
            f"{dataset.sequence_length} tokens, and one batch takes {rows:,}; take more data, or a "
            "smaller batch with --data_loader.global_batch_size= (in tokens)"
        )
    return len(dataset) // rows


def _check_held_out(
    config: AnchoredExperimentConfig, drift: AnchorDriftCallbackConfig, ours: AnchorTokenizer
) -> None:
    if drift.dataset is None:
        return  # the callback says what it needs
    trained = {source.tokens for source in document_sources(config.dataset)}
    for source in document_sources(drift.dataset):
        if not source.tokens:
            raise InputError(
                f"drift is measured on a held-out corpus, and none is named; name one with "
                f"{_DRIFT}.dataset.sources.0.tokens= and .overlay=, or switch it off with "
                f"{_DRIFT}.enabled=false"
            )
        tokens, _ = source.open()
        if changed := _other_tokenizer(tokens.tokenizer(), ours):
            raise InputError(
                f"{source.tokens}: was made with another tokenizer than the data, and drift cannot "
                f"be measured on it: {'; '.join(changed)}; tokenize it with the data's"
            )
        if source.tokens in trained and _is_trained(config.dataset, drift.dataset):
            raise InputError(
                f"{source.tokens}: drift would be measured on documents that are trained; hold "
                f"them out with --dataset.selection.split=train, or switch it off with "
                f"{_DRIFT}.enabled=false"
            )


def _is_trained(dataset: InstanceSourceConfig, held_out: InstanceSourceConfig) -> bool:
    """Whether documents that one selection holds out are in the other."""
    ours, theirs = (getattr(one, "selection", None) for one in (dataset, held_out))
    if not isinstance(theirs, DocumentSelection) or theirs.split != "held_out":
        return False  # no held-out split: the documents are what the user named
    return not (
        isinstance(ours, DocumentSelection)
        and ours.split == "train"
        and ours.held_out >= theirs.held_out
    )


def _check_length(overlay: OverlayDir, sequence_length: int) -> None:
    # A row that lies inside an annotation has no delimiter: by its ids alone it is text.
    if overlay.longest >= sequence_length:
        raise InputError(
            f"{overlay.folder}: holds an annotation of {overlay.longest} tokens, which an instance "
            f"of {sequence_length} cannot hold with a response; set --dataset.sequence_length, "
            "--train_module.max_sequence_length and the batch size higher, or make the overlay "
            f"again with --max-annotation-tokens {sequence_length // 2}"
        )


def _check_same_tokenizer(run: Path, ours: AnchorTokenizer) -> None:
    if not (run / "tokenizer").is_dir():
        return
    theirs = AnchorTokenizer.load(run / "tokenizer")
    if changed := _other_tokenizer(theirs, ours):
        raise InputError(
            f"{run}: was trained with another tokenizer than the data: {'; '.join(changed)}; "
            f"tokenize the data with {run / 'tokenizer'}"
        )


def _other_tokenizer(theirs: AnchorTokenizer, ours: AnchorTokenizer) -> list[str]:
    return [
        f"{name} {getattr(theirs, name)!r} there, {getattr(ours, name)!r} here"
        for name in ("hash", "delimiters", "end_of_text", "pad")
        if getattr(theirs, name) != getattr(ours, name)
    ]


def _check_same_layout(run: Path, ours: str | None) -> None:
    try:
        theirs = orjson.loads((run / "config.json").read_bytes()).get("layout")
    except FileNotFoundError:
        return
    if theirs and ours and theirs != ours:
        raise InputError(
            f"{run}: was trained on conversations of layout {theirs!r}, those of the data have "
            f"{ours!r}; tokenize them again with: olmo-anchor tokenize --chat --layout {theirs}"
        )
