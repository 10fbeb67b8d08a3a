"""What inputs that are files have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["InputFile"]


@dataclass(frozen=True)
class InputFile:
    """One file; see :class:`~olmo_anchor.corpus.sources.Source`."""

    path: Path
    name: str
    index: int = 0

    @property
    def label(self) -> str:
        return str(self.path)

    @property
    def size(self) -> int:
        return self.path.stat().st_size
