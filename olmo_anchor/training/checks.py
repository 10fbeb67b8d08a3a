"""What is wrong with an experiment's data and weights, said before anything is written."""

from __future__ import annotations

from pathlib import Path

import orjson
from olmo_core.data.composable import (
    ConcatAndChunkInstanceSourceConfig,
    MixingInstanceSourceConfig,
)

from olmo_anchor.corpus.overlay_files import OverlayDir
from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.indexed import IndexedInstanceSourceConfig
from olmo_anchor.training.mixture import document_sources
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.save_folder import find_checkpoint
from olmo_anchor.training.start import HUB, check_hugging_face, is_hugging_face, local_folder

__all__ = ["check_experiment"]


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
    changed = [
        f"{name} {getattr(theirs, name)!r} there, {getattr(ours, name)!r} here"
        for name in ("hash", "delimiters", "end_of_text", "pad")
        if getattr(theirs, name) != getattr(ours, name)
    ]
    if changed:
        raise InputError(
            f"{run}: was trained with another tokenizer than the data: {'; '.join(changed)}; "
            f"tokenize the data with {run / 'tokenizer'}"
        )


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
