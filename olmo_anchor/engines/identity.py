"""What identifies a model folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from olmo_anchor.manifest import MANIFEST, sha256_file

__all__ = ["model_hash"]

_HASHED_BYTES = 1 << 24


def model_hash(model: Path) -> str:
    """The hash of its manifest, else of its small files and the sizes of the others, as hex."""
    if (model / MANIFEST).is_file():
        return sha256_file(model / MANIFEST)
    parts = hashlib.sha256()
    for path in sorted(model.iterdir()):
        if path.is_file():
            size = path.stat().st_size
            content = sha256_file(path) if size <= _HASHED_BYTES else ""
            parts.update(f"{path.name}\n{size}\n{content}\n".encode())
    return parts.hexdigest()
