"""From the files of the runs to the findings: nothing is measured here, and nothing guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import MANIFEST
from olmo_anchor.study.findings.arms import GRID, ArmSpec, Grid, differing, read_grid
from olmo_anchor.study.findings.facts import facts
from olmo_anchor.study.findings.findings import Findings, Missing, Seed
from olmo_anchor.study.findings.gaps import gaps
from olmo_anchor.study.findings.measures import measured

__all__ = ["collect"]

_METRICS = "metrics.jsonl"
_DIGITS = 5


def collect(out: Path) -> Findings:
    """Read ``OUT/seed-N`` of each seed: ``grid.json``, then of each arm ``arms/NAME/summary.json``,
    its run's ``manifest.json`` and ``metrics.jsonl`` and its data's ``manifest.json``.

    :raises InputError: when there is no seed, a file is not whole, or an arm of one name is not the
        same arm in two seeds.
    """
    folders = sorted(out.glob("seed-*/"), key=lambda folder: (len(folder.name), folder.name))
    folders = [folder for folder in folders if (folder / GRID).is_file()]
    if not folders:
        raise InputError(
            f"{out}: holds no seed-N with a {GRID}; make one with: "
            f"olmo-anchor study run --out {out}"
        )
    grids = {folder: read_grid(folder) for folder in folders}
    _check_alike(grids)
    arms: dict[str, ArmSpec] = {}
    values: dict[str, dict[int, dict[str, float]]] = {}
    missing: list[Missing] = []
    for folder, grid in grids.items():
        of_seed: dict[str, dict[str, float]] = {}
        for name, spec in grid.arms.items():
            arms[name] = _completed(folder, grid, arms.get(name, spec))
            if (why := _unfinished(folder, grid, spec)) is not None:
                missing.append(Missing(name, grid.seed, why))
                continue
            of_seed[name] = measured(_summary(folder, name), _last_metrics(folder, grid, spec))
        for name, closed in gaps(arms, of_seed).items():
            of_seed[name] |= closed
        for name, of_arm in of_seed.items():
            rounded = {key: round(value, _DIGITS) for key, value in of_arm.items()}
            values.setdefault(name, {})[grid.seed] = rounded
    return Findings(
        seeds=tuple(_seed(folder, grid) for folder, grid in grids.items()),
        arms=arms,
        values=values,
        missing=tuple(missing),
    )


def _check_alike(grids: Mapping[Path, Grid]) -> None:
    known: dict[str, tuple[Path, Grid]] = {}
    seeds: dict[int, Path] = {}
    for folder, grid in grids.items():
        if grid.seed in seeds:
            raise InputError(
                f"{folder}: is of seed {grid.seed}, as {seeds[grid.seed]}; one seed counts once"
            )
        seeds[grid.seed] = folder
        for name in grid.arms:
            before, of = known.setdefault(name, (folder, grid))
            if (what := differing(of, grid, name)) is not None:
                raise InputError(
                    f"{folder / GRID}: the arm {name} has another {what} than in {before / GRID}: "
                    "two grids are no repetition of one; keep each in an OUT of its own"
                )


def _unfinished(folder: Path, grid: Grid, arm: ArmSpec) -> str | None:
    """Why there is nothing of an arm to read, from what lies there; None where there is."""
    if (folder / "arms" / arm.name / MANIFEST).is_file():
        return None
    of = grid.arms.get(arm.of or "", arm)
    if of.run is not None and not (folder / of.run / MANIFEST).is_file():
        begun = (folder / of.run).is_dir()
        return "its training did not end" if begun else "it was not trained"
    if not (folder / "generations" / f"{arm.name}.manifest.json").is_file():
        return "its answers are not all there"
    return "its answers were not evaluated to the end"


def _summary(folder: Path, name: str) -> Mapping[str, Any]:
    path = folder / "arms" / name / "summary.json"
    arms = _json(path).get("arms") or {}
    found = arms.get(name) or arms.get(name.rpartition("/")[2])
    if found is None and len(arms) == 1:
        (found,) = arms.values()
    if not isinstance(found, Mapping):
        raise InputError(f"{path}: is not of the arm {name}, but of {', '.join(arms) or 'none'}")
    return found


def _last_metrics(folder: Path, grid: Grid, arm: ArmSpec) -> dict[str, float]:
    """The last value of each series about drift, of the run whose model the arm is."""
    of = grid.arms.get(arm.of or "", arm)
    if of.run is None or not (path := folder / of.run / _METRICS).is_file():
        return {}
    last: dict[str, float] = {}
    for line in path.read_bytes().splitlines():
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise InputError(f"{path}: a line is not JSON; train again") from None
        last |= {key: value for key, value in record.items() if key.startswith("drift/")}
    return last


def _completed(folder: Path, grid: Grid, arm: ArmSpec) -> ArmSpec:
    """With what the manifests of its run, its sampling and its data say."""
    if not arm.facts:
        of = grid.arms.get(arm.of or "", arm)
        run = {} if of.run is None else _json(folder / of.run / MANIFEST)
        sampling = _json(folder / "generations" / f"{arm.name}.manifest.json")
        arm = replace(arm, facts=facts(run, sampling))
    if arm.data_entropy_bits is None and arm.data is not None:
        manifest = _json(folder / "data" / arm.data / "conversations" / MANIFEST)
        arm = replace(arm, data_entropy_bits=(manifest.get("extra") or {}).get("entropy_bits"))
    return arm


def _seed(folder: Path, grid: Grid) -> Seed:
    times = _json(folder / "times.json")
    stages = times.get("stages") or []
    return Seed(
        grid.seed, grid.source, grid.world, grid.versions, times.get("seconds"), len(stages)
    )


def _json(path: Path) -> dict[str, Any]:
    """Empty where there is no such file.

    :raises InputError: when it is no JSON object.
    """
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}); run the study again") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a JSON object; run the study again")
    return found
