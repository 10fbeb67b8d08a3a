"""The arms in ``grid.json``: what each one is, for who reads its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.study.grid.grid import Arm, Grid
from olmo_anchor.study.grid.stages import overrides

__all__ = ["FILE", "arm_records", "commits"]

FILE = "grid.json"

Record = dict[str, Any]

_MAY_CHANGE = ("title", "data_entropy_bits")
"""Fields that make it no other arm."""


def arm_records(grid: Grid, arms: Sequence[Arm], root: Path) -> list[Record]:
    """These arms, and those of earlier calls that the grid has unchanged, in the grid's order.

    :param root: the folder of the seed.
    """
    found = {arm.name: _record(grid, arm, root) for arm in arms}
    for stored in _stored(root / FILE):
        arm = grid.arms.get(stored["name"])
        if arm is None or arm.name in found:
            continue
        again = _record(grid, arm, root)
        if _deciding(again) == _deciding(stored):
            found[arm.name] = again
    return [found[name] for name in grid.arms if name in found]


def commits(root: Path, now: str) -> str:
    """Those of the calls that ran a seed so far, and of this one: not all stages need be of one."""
    path = root / FILE
    stored = orjson.loads(path.read_bytes()) if path.is_file() else {}
    before = stored.get("commit", "").split(", ")
    return ", ".join(dict.fromkeys([*filter(None, before), now]))


def _stored(path: Path) -> list[Record]:
    return list(orjson.loads(path.read_bytes())["arms"]) if path.is_file() else []


def _record(grid: Grid, arm: Arm, root: Path) -> Record:
    record = asdict(arm)
    record |= {
        "title": arm.title or arm.name.rpartition("/")[2],
        "size": arm.size or grid.size,
        "starts_from": arm.starts_from,
        "run": f"runs/{arm.model}" if arm.recipe else f"bases/{arm.starts_from}",
        "overrides": overrides(arm.set),
        "sampling": overrides(arm.sample),
        "data_entropy_bits": None,
    }
    if arm.data is not None:
        manifest = root / "data" / arm.data / "conversations" / "manifest.json"
        if manifest.is_file():
            extra = orjson.loads(manifest.read_bytes())["extra"]
            record["data_entropy_bits"] = extra["entropy_bits"]
    del record["set"], record["sample"]
    return record


def _deciding(record: Record) -> Record:
    """As it is read back from the file."""
    stored: Record = orjson.loads(orjson.dumps(record, option=orjson.OPT_NON_STR_KEYS))
    return {name: value for name, value in stored.items() if name not in _MAY_CHANGE}
