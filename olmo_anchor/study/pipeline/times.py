"""``times.json``: the seconds of the stages of a folder, over all resumed runs."""

from __future__ import annotations

import time
from pathlib import Path

import orjson

from olmo_anchor.manifest import write_json
from olmo_anchor.study.pipeline.pipeline import Stage

__all__ = ["Times"]


class Times:
    """:ivar wall: seconds of earlier runs."""

    def __init__(self, root: Path) -> None:
        self._path = root / "times.json"
        self._seconds: dict[str, float] = {}
        self.wall = 0.0
        if self._path.is_file():
            stored = orjson.loads(self._path.read_bytes())
            self._seconds = {stage["name"]: stage["seconds"] for stage in stored["stages"]}
            self.wall = stored["seconds"]
        self._began = time.monotonic()

    @property
    def total(self) -> float:
        return self.wall + time.monotonic() - self._began

    def keep(self, stage: Stage, seconds: float) -> None:
        self._seconds[stage.name] = round(seconds, 1)
        write_json(
            self._path,
            {
                "seconds": round(self.total, 1),
                "stages": [{"name": name, "seconds": took} for name, took in self._seconds.items()],
            },
        )
