"""How long the stages of a folder took, over all resumed runs: its ``times.json``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.manifest import write_json
from olmo_anchor.study.pipeline.stage import Stage

__all__ = ["Times", "makespan", "read_times"]

_FILE = "times.json"


class Times:
    """:ivar wall: seconds of earlier runs."""

    def __init__(self, root: Path) -> None:
        self._root = root
        stored = _stored(root)
        self._seconds = {stage["name"]: stage["seconds"] for stage in stored["stages"]}
        self.wall: float = stored["seconds"]
        self._began = time.monotonic()

    @property
    def total(self) -> float:
        return self.wall + time.monotonic() - self._began

    def keep(self, stage: Stage, seconds: float) -> None:
        self._seconds[stage.name] = round(seconds, 1)
        write_json(
            self._root / _FILE,
            {
                "seconds": round(self.total, 1),
                "stages": [{"name": name, "seconds": took} for name, took in self._seconds.items()],
            },
        )


def read_times(folders: Iterable[Path]) -> dict[str, list[float]]:
    """Seconds by stage, of all the folders that have times."""
    found: dict[str, list[float]] = {}
    for folder in folders:
        for stage in _stored(folder)["stages"]:
            found.setdefault(stage["name"], []).append(stage["seconds"])
    return found


def _stored(folder: Path) -> dict[str, Any]:
    path = folder / _FILE
    stored: dict[str, Any] = {"seconds": 0.0, "stages": []}
    return orjson.loads(path.read_bytes()) if path.is_file() else stored


def makespan(seconds: Sequence[float], parallel: int) -> float:
    """Seconds for all, if ``parallel`` processes stay busy: no less than the longest takes."""
    return max(sum(seconds) / parallel, *seconds, 0.0)
