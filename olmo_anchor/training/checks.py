"""What is wrong with an experiment's data and weights, said before anything is written."""

from __future__ import annotations

from pathlib import Path

from olmo_core.data.composable import ConcatAndChunkInstanceSourceConfig

from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.instances import PaddedInstanceSourceConfig
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.save_folder import find_checkpoint
from olmo_anchor.training.source import InterleavedDocumentSourceConfig

__all__ = ["check_experiment"]


def check_experiment(config: AnchoredExperimentConfig) -> None:
    """Open the data and the checkpoint to start from; nothing is written, no token read.

    :raises InputError: when data, masks and checkpoint do not fit each other.
    """
    if config.load_path is not None:
        _check_same_tokenizer(find_checkpoint(Path(config.load_path)).parent, config)
    chunked = isinstance(config.dataset, ConcatAndChunkInstanceSourceConfig)
    if chunked and MaskPolicy(config.collator.policy).masks_by_role:
        raise InputError(
            f"the policy {config.collator.policy} masks by role, which needs instances that begin "
            "at a document; this recipe cuts documents into chunks"
        )
    if isinstance(config.dataset, PaddedInstanceSourceConfig | ConcatAndChunkInstanceSourceConfig):
        for source in config.dataset.sources:
            if isinstance(source, InterleavedDocumentSourceConfig):
                source.open()


def _check_same_tokenizer(run: Path, config: AnchoredExperimentConfig) -> None:
    if not (run / "tokenizer").is_dir():
        return
    trained = AnchorTokenizer.load(run / "tokenizer").hash
    if trained != config.tokenizer_hash:
        raise InputError(
            f"{run}: was trained with another tokenizer (hash {trained[:12]}) than the data "
            f"(hash {config.tokenizer_hash[:12]}); tokenize the data with {run / 'tokenizer'}"
        )
