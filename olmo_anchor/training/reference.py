"""The model that a run started from, kept as it was: what ``kl`` measures from.

It is read from ``load_path`` whenever the run goes on, never from the run's own checkpoints. Every
rank holds the whole of it, in the type that the model computes in.
"""

from __future__ import annotations

from pathlib import Path

import torch
from olmo_core.distributed.checkpoint import load_model_and_optim_state
from olmo_core.nn.transformer import Transformer

from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.embeddings import start_embeddings
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.regularizer import RegularizerKind
from olmo_anchor.training.save_folder import find_checkpoint
from olmo_anchor.training.start import is_hugging_face, load_hugging_face, local_folder
from olmo_anchor.training.train_module import AnchorTrainModuleConfig

__all__ = ["load_reference", "needs_reference"]


def needs_reference(config: AnchoredExperimentConfig) -> bool:
    """Whether the run's loss is measured from what it started from."""
    module = config.train_module
    return (
        isinstance(module, AnchorTrainModuleConfig)
        and module.regularizer.kind == RegularizerKind.kl
    )


def load_reference(
    config: AnchoredExperimentConfig, tokenizer: AnchorTokenizer, device: torch.device
) -> Transformer:
    """The model of ``config`` with the weights of its ``load_path``, in float32; every rank calls.

    :raises InputError: when there is no whole checkpoint.
    """
    assert config.load_path is not None  # checks.py has seen to it
    model = config.model.build(init_device="meta")
    with torch.random.fork_rng():  # the weights are drawn, and then overwritten
        model.init_weights(device=device)
    if is_hugging_face(config.load_path):
        load_hugging_face(local_folder(config.load_path), model)
    else:
        checkpoint = find_checkpoint(Path(config.load_path))
        load_model_and_optim_state(checkpoint / "model_and_optim", model)
    start_embeddings(model, tokenizer, config.start_like)
    return model
