"""What must be the same when a run goes on: what is read, what is trained of it, and the model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.manifest import read_manifest, sha256_file
from olmo_anchor.training.mixture import document_sources
from olmo_anchor.training.recipes import AnchoredExperimentConfig
from olmo_anchor.training.reference import needs_reference
from olmo_anchor.training.save_folder import PLACES, files_of_the_start
from olmo_anchor.training.source import InterleavedDocumentSourceConfig

__all__ = ["anchor_state"]

# The same weights and losses, up to rounding, on another kind of machine.
_HARDWARE = {"backend", "dtype", "loss_implementation"}
# What is refused or shown, not what is read.
_SIDE = {"verify", "max_unannotated", "label", "_CLASS_"}
_LOADER = ("global_batch_size", "seed", "shuffle", "generate_doc_lengths")


def anchor_state(config: AnchoredExperimentConfig, fingerprint: str) -> dict[str, Any]:
    """Names and values for :class:`~olmo_anchor.training.callbacks.AnchorStateCallback`.

    :param fingerprint: of the built dataset. What it covers is here by name as well, where a user
        can have changed it.
    """
    state: dict[str, Any] = {
        "policy": str(config.collator.policy),
        "value_only_fraction": config.collator.value_only_fraction,
        "collator seed": config.collator.seed,
        "control ids": dict(config.collator.control),
        "tokenizer": config.tokenizer_hash[:12],
        "data": fingerprint[:12],
    }
    if config.collator.train_opening:  # runs of before there was a choice go on
        state["train_opening"] = True
    if needs_reference(config) and config.load_path is not None:
        files = files_of_the_start(config.load_path)
        state["weights at the start"] = _digest([sha256_file(path) for path in files])
    for number, source in enumerate(document_sources(config.dataset)):
        tokens, overlay = _contents(source)
        state |= {f"tokens of source {number}": tokens, f"overlay of source {number}": overlay}
    loader = config.data_loader.as_config_dict()
    state |= _flat({key: loader.get(key) for key in _LOADER}, "data_loader")
    state |= _flat(config.dataset.as_config_dict(), "dataset")
    return state | _flat(config.model.as_config_dict(), "model")


def _contents(source: InterleavedDocumentSourceConfig) -> tuple[str, str | None]:
    """Digests of what a source reads, by the hashes in the manifests; None without an overlay, or
    where nothing that is trained depends on it."""
    parts = read_manifest(Path(source.tokens), "tokens").extra["parts"]
    masks = [part["mask"] for part in parts if part.get("mask")]
    tokens = _digest([part["ids"]["sha256"] for part in parts] + [m["sha256"] for m in masks])
    # As in source_files.fingerprint: where annotations stand decides which responses are trained.
    leaves_out = source.train_turns == "final" and source.unannotated == "leave_out"
    names = ["starts"] if masks and leaves_out else []
    names = ["ids", "starts", "positions"] if source.annotations else names
    if source.overlay is None or not names:
        return tokens, None
    entries = read_manifest(Path(source.overlay), "overlay").extra["parts"]
    return tokens, _digest([entry[name]["sha256"] for entry in entries for name in names])


def _digest(hashes: list[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:12]


def _flat(value: Any, name: str) -> dict[str, Any]:
    """The leaves of nested dicts and lists, by dotted name, as they are written on the command
    line."""
    if isinstance(value, Mapping):
        pairs = ((k, v) for k, v in value.items() if k not in PLACES | _HARDWARE | _SIDE)
        return {n: leaf for k, v in pairs for n, leaf in _flat(v, f"{name}.{k}").items()}
    if isinstance(value, list | tuple):
        return {n: v for k, item in enumerate(value) for n, v in _flat(item, f"{name}.{k}").items()}
    return {name: orjson.loads(orjson.dumps(value))}
