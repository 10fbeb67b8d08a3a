"""Settings and counts of a run and its sampling, as their manifests say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["facts"]

_OF_RUN = {
    "parameters": ("counts", "parameters"),
    "conversations": ("counts", "documents"),
    "steps": ("counts", "steps"),
    "lr": ("config", "train_module", "optim", "lr"),
    "eps": ("config", "train_module", "optim", "eps"),
    "share": ("config", "dataset", "selection", "share"),
    "policy": ("config", "collator", "policy"),
    "value_only_fraction": ("config", "collator", "value_only_fraction"),
    "regularizer": ("config", "train_module", "regularizer", "kind"),
    "weight": ("config", "train_module", "regularizer", "weight"),
    "seconds": ("seconds",),
}
_OF_SAMPLING = {
    "temperature": ("config", "temperature"),
    "min_p": ("config", "min_p"),
    "plan": ("config", "plan"),
    "annotation": ("config", "annotation"),
    "seconds_sampling": ("seconds",),
}


def facts(run: Mapping[str, Any], sampling: Mapping[str, Any]) -> dict[str, Any]:
    """:param run, sampling: contents of manifests; empty where there are none."""
    found = {key: _at(run, path) for key, path in _OF_RUN.items()}
    found |= {key: _at(sampling, path) for key, path in _OF_SAMPLING.items()}
    return {key: value for key, value in found.items() if value is not None}


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
