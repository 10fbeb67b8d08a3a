"""Which parts of an output folder are finished, so that the rest can be made later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmo_anchor.errors import InputError
from olmo_anchor.journal import Journal
from olmo_anchor.manifest import atomic_write

__all__ = ["PartJournal"]


class PartJournal:
    """``journal.jsonl`` in an output folder: what it is made from, then an entry per finished part.

    A part counts when its entry is there and its files have the sizes that the entry tells; the
    parts after the first that does not are forgotten.

    :param key: inputs and options that must be the same on resuming.
    :param files: the names in an entry under which file records stand.
    :raises InputError: when the folder was begun from another ``key``.
    """

    def __init__(self, folder: Path, key: dict[str, Any], files: Sequence[str]) -> None:
        self.path = folder / "journal.jsonl"
        self.parts: list[dict[str, Any]] = []
        stored: list[dict[str, Any]] = []
        if self.path.exists():
            with Journal(self.path) as journal:
                stored = list(journal.records())
        if stored:
            self.check(folder, stored[0]["key"], key)
        for part in stored[1:]:
            records = [part[name] for name in files if part[name]]
            if not all(_has_size(folder / record["path"], record["size"]) for record in records):
                break
            self.parts.append(part)
        with atomic_write(self.path):
            pass
        self._journal = Journal(self.path)
        self._journal.extend([{"key": key}, *self.parts])

    @staticmethod
    def check(folder: Path, found: dict[str, Any], key: dict[str, Any]) -> None:
        """:raises InputError: naming what is not as it was when the folder was begun."""
        if changed := [name for name in key if found.get(name) != key[name]]:
            raise InputError(
                f"{folder}: was begun with other settings or inputs ({', '.join(changed)}); "
                "--resume wants the same, --overwrite begins again"
            )

    def append(self, part: dict[str, Any]) -> None:
        self._journal.append(part)
        self.parts.append(part)

    def close(self) -> None:
        self._journal.close()

    def remove(self) -> None:
        """All is done and in the manifest."""
        self.close()
        self.path.unlink()


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
