"""All that the study found: arm by measure by seed, and what is not there. The content of
``study.json``, from which page, figures and documents are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.study.findings.arms import ArmSpec
from olmo_anchor.study.findings.estimate import Estimate, over_seeds

__all__ = ["Findings", "Missing", "Seed", "Withheld", "load_findings", "missing_lines"]

FORMAT = 1
_DIGITS = 6


@dataclass(frozen=True)
class Missing:
    """An arm of the grid without numbers at a seed."""

    arm: str
    seed: int
    why: str


@dataclass(frozen=True)
class Withheld:
    """A number that the arm's files have and that says nothing.

    :param why: short, for the cell of a table.
    """

    arm: str
    seed: int
    measure: str
    why: str


@dataclass(frozen=True)
class Seed:
    """Where the numbers of a seed come from.

    :param grid: the grid's file and hash.
    :param seconds: the run took, over all its resumptions; None where it did not say.
    """

    seed: int
    grid: Mapping[str, Any]
    world: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float | None = None
    stages: int = 0


@dataclass(frozen=True)
class Findings:
    """:param arms: of all seeds' grids, in their order.
    :param values: by arm, seed and measure.
    """

    seeds: tuple[Seed, ...]
    arms: Mapping[str, ArmSpec]
    values: Mapping[str, Mapping[int, Mapping[str, float]]]
    missing: tuple[Missing, ...] = ()
    withheld: tuple[Withheld, ...] = ()

    def why_not(self, arm: str, measure: str, seed: int) -> str | None:
        """Why a number was withheld; None where it was not."""
        asked = arm, measure, seed
        found = (o.why for o in self.withheld if (o.arm, o.measure, o.seed) == asked)
        return next(found, None)

    def at(self, arm: str, measure: str) -> dict[int, float]:
        """By seed; empty where nothing was measured."""
        of_arm = self.values.get(arm, {})
        return {seed: of[measure] for seed, of in of_arm.items() if measure in of}

    def of(self, arm: str, measure: str) -> Estimate | None:
        """Over seeds; None where nothing was measured."""
        found = self.at(arm, measure)
        return over_seeds([found[seed] for seed in sorted(found)]) if found else None

    def group(self, name: str, kind: str | None = None) -> list[ArmSpec]:
        """Its arms, or those of one kind."""
        return [arm for arm in self.arms.values() if arm.group == name and kind in (None, arm.kind)]

    @property
    def numbers(self) -> list[int]:
        """The seeds."""
        return [seed.seed for seed in self.seeds]

    def to_json(self, *, brief: bool = False) -> dict[str, Any]:
        """:param brief: without means and intervals, which follow from the values of the seeds, and
        without what decides an arm.
        """
        return {
            "format": FORMAT,
            "seeds": [asdict(seed) for seed in self.seeds],
            "arms": [self._arm(arm, brief) for arm in self.arms.values()],
            "missing": [asdict(one) for one in self.missing],
            "withheld": [asdict(one) for one in self.withheld],
        }

    def _arm(self, arm: ArmSpec, brief: bool) -> dict[str, Any]:
        stored = {key: value for key, value in asdict(arm).items() if value not in (None, {})}
        if brief:
            stored.pop("decides", None)
        names = dict.fromkeys(key for of in self.values.get(arm.name, {}).values() for key in of)
        stored["measures"] = {key: self._measure(arm.name, key, brief) for key in names}
        return stored

    def _measure(self, arm: str, key: str, brief: bool) -> dict[str, Any]:
        found = self.of(arm, key)
        assert found is not None
        seeds = {str(seed): value for seed, value in self.at(arm, key).items()}
        if brief:
            return {"seeds": seeds}
        numbers = {"mean": found.value, "low": found.low, "high": found.high}
        return {
            **{name: value and round(value, _DIGITS) for name, value in numbers.items()},
            "seeds": seeds,
        }


def missing_lines(
    findings: Findings, of: set[str] | None = None, most: int | None = None
) -> list[str]:
    """What is not there, by seed and reason: many arms wait for one thing.

    :param of: names of arms; None for all.
    :param most: names of a line; the others are counted.
    """
    by_reason: dict[tuple[int, str], list[str]] = {}
    for one in findings.missing:
        if of is None or one.arm in of:
            by_reason.setdefault((one.seed, one.why), []).append(one.arm)
    return [f"seed {seed}, {why}: {_listed(arms, most)}" for (seed, why), arms in by_reason.items()]


def _listed(names: Sequence[str], most: int | None) -> str:
    more = len(names) - most if most is not None else 0
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def load_findings(path: Path) -> Findings:
    """Read what :meth:`Findings.to_json` gave. Means and intervals are made anew.

    :raises InputError: when the file is none of that.
    """
    try:
        stored = orjson.loads(path.read_bytes())
        if stored["format"] != FORMAT:
            raise InputError(f"{path}: format {stored['format']!r}, this version reads {FORMAT}")
        return Findings(
            seeds=tuple(Seed(**one) for one in stored["seeds"]),
            arms={one["name"]: _spec(one) for one in stored["arms"]},
            values={one["name"]: _values(one) for one in stored["arms"] if one["measures"]},
            missing=tuple(Missing(**one) for one in stored["missing"]),
            withheld=tuple(Withheld(**one) for one in stored["withheld"]),
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; olmo-anchor study page writes it") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the findings of a study ({error!r})") from None


def _spec(stored: Mapping[str, Any]) -> ArmSpec:
    known: Sequence[str] = [field.name for field in fields(ArmSpec)]
    return ArmSpec(**{key: value for key, value in stored.items() if key in known})


def _values(stored: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for key, of in stored["measures"].items():
        for seed, value in of["seeds"].items():
            found.setdefault(int(seed), {})[key] = value
    return found
