"""Annotation-anchored training on OLMo-core (arXiv 2605.09995).

Pretraining sees ``<z_1>x_1 <z_2>x_2 ...``, SFT sees ``prompt <z> response`` with ``<z>`` masked
out of the loss, inference samples ``<z>`` first. What is named here plugs into an OLMo-core script
of one's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from olmo_anchor.annotation import Annotation, Schema, Tag
    from olmo_anchor.policy import MaskPolicy
    from olmo_anchor.tokenizer import AnchorTokenizer
    from olmo_anchor.training.collator import AnchorCollator
    from olmo_anchor.training.source import InterleavedDocumentSourceConfig

__all__ = [
    "AnchorCollator",
    "AnchorTokenizer",
    "Annotation",
    "InterleavedDocumentSourceConfig",
    "MaskPolicy",
    "Schema",
    "Tag",
]

_HOME = {
    "AnchorCollator": "olmo_anchor.training.collator",
    "AnchorTokenizer": "olmo_anchor.tokenizer",
    "Annotation": "olmo_anchor.annotation",
    "InterleavedDocumentSourceConfig": "olmo_anchor.training.source",
    "MaskPolicy": "olmo_anchor.policy",
    "Schema": "olmo_anchor.annotation",
    "Tag": "olmo_anchor.annotation",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `olmo-anchor --help` must not pay for torch.
    if name not in _HOME:
        raise AttributeError(f"module 'olmo_anchor' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
