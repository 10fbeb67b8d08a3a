"""What the arms of a seed are: ``grid.json``, which ``study run`` keeps in the seed's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError

__all__ = ["GRID", "ArmSpec", "Grid", "differing", "read_grid"]

GRID = "grid.json"
_DECIDING = (
    *("method", "base", "starts_from", "data", "annotations", "recipe", "overrides", "sampling"),
    *("of", "size", "at"),
)
"""Fields that say what an arm is; two seeds of one arm agree in them."""


@dataclass(frozen=True)
class ArmSpec:
    """An arm as the grid defines it.

    :param method: how it was trained: its colour in figures.
    :param at: what varies in its group, with its value: ``{"lr": 0.001}``.
    :param annotations: their name in the grid.
    :param of: the arm whose model it samples; None for one with a model of its own.
    :param run: the folder of its training run, relative to the seed's; None where it has none.
    :param facts: settings and counts of its run and its sampling, from their manifests.
    :param decides: all that makes it what it is, for comparison between seeds.
    """

    name: str
    group: str
    title: str
    method: str
    base: str | None = None
    data: str | None = None
    annotations: str | None = None
    data_entropy_bits: Mapping[str, float] | None = None
    size: str | None = None
    of: str | None = None
    run: str | None = None
    at: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    decides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_base(self) -> bool:
        """Whether it was not post-trained."""
        return self.method.startswith("base")

    @property
    def overrides(self) -> Sequence[str]:
        """Of its training recipe, as ``--NAME=VALUE``."""
        return self.decides.get("overrides") or ()

    @property
    def sampling(self) -> Sequence[str]:
        """Options of its sampling, as ``--NAME=VALUE``."""
        return self.decides.get("sampling") or ()

    @property
    def kind(self) -> str:
        """Its method; of one whose annotations have the persona, too, ``METHOD_persona``."""
        with_persona = self.annotations == "persona" and not self.is_base
        return f"{self.method}_persona" if with_persona else self.method

    def place(self, along: str) -> float | None:
        """Where it stands along a setting: what its files say, else the grid; None where neither
        says a number."""
        for said in (self.facts.get(along), self.at.get(along)):
            try:
                if said is not None:
                    return float(said)
            except (TypeError, ValueError):
                continue
        return None


@dataclass(frozen=True)
class Grid:
    """:param source: file and hash that it was read from.
    :param world: what decides the world but the seed.
    """

    seed: int
    arms: dict[str, ArmSpec]
    source: Mapping[str, Any]
    world: Mapping[str, Any]
    versions: Mapping[str, str]


def read_grid(folder: Path) -> Grid:
    """:raises InputError: when the seed's folder has no whole ``grid.json``."""
    path = folder / GRID
    try:
        stored = orjson.loads(path.read_bytes())
        arms = {one["name"]: _arm(one) for one in stored["arms"]}
        seed = int(stored["seed"])
    except FileNotFoundError:
        raise InputError(
            f"{folder}: there is no {GRID}, so it is no seed of a study; make one with: "
            f"olmo-anchor study run --out {folder.parent} --seed N"
        ) from None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a whole grid ({error!r}); run the study again") from None
    return Grid(
        seed,
        arms,
        _source(stored),
        stored.get("world") or {},
        stored.get("versions") or {},
    )


def _source(stored: Mapping[str, Any]) -> dict[str, Any]:
    """With the commit that ran it, where the seed says one."""
    commit = stored.get("commit")
    return {**(stored.get("grid") or {}), **({"commit": commit} if commit else {})}


def _arm(stored: Mapping[str, Any]) -> ArmSpec:
    name = stored["name"]
    decides = {key: stored[key] for key in _DECIDING if stored.get(key) is not None}
    plain: dict[str, Any] = {
        key: stored.get(key)
        for key in ("base", "data", "annotations", "data_entropy_bits", "size", "of", "run")
    }
    return ArmSpec(
        name=name,
        group=stored["group"],
        title=stored.get("title") or name.rpartition("/")[2],
        method=stored["method"],
        decides=decides,
        at=stored.get("at") or {},
        **plain,
    )


def differing(one: Grid, other: Grid, arm: str) -> str | None:
    """In what the arm of one name differs between two seeds; None where it does not."""
    if one.world != other.world:
        return "world"
    first, second = one.arms[arm], other.arms[arm]
    for key in _DECIDING:
        if first.decides.get(key) != second.decides.get(key):
            return key
    if first.of in one.arms and first.of in other.arms:
        return differing(one, other, first.of)
    return None
