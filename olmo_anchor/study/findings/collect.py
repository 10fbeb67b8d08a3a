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
from olmo_anchor.study.findings.findings import Findings, Missing, Seed, Withheld
from olmo_anchor.study.findings.gaps import gaps
from olmo_anchor.study.findings.measures import held_out, measured
from olmo_anchor.study.findings.stale import stale

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
    withheld: list[Withheld] = []
    for folder, grid in grids.items():
        of_seed: dict[str, dict[str, float]] = {}
        for name, spec in grid.arms.items():
            arms[name] = _completed(folder, grid, arms.get(name, spec))
            if (why := _unfinished(folder, grid, spec)) is not None:
                missing.append(Missing(name, grid.seed, why))
                continue
            of_seed[name], whys = _measured(folder, grid, spec)
            withheld += [Withheld(name, grid.seed, *one) for one in whys.items()]
        closed, unclosed = gaps(arms, of_seed)
        for name, of_arm in closed.items():
            of_seed[name] |= of_arm
        for name, whys in unclosed.items():
            withheld += [Withheld(name, grid.seed, *one) for one in whys.items()]
        for name, of_arm in of_seed.items():
            rounded = {key: round(value, _DIGITS) for key, value in of_arm.items()}
            values.setdefault(name, {})[grid.seed] = rounded
    return Findings(
        seeds=tuple(_seed(folder, grid) for folder, grid in grids.items()),
        arms=arms,
        values=values,
        missing=tuple(missing),
        withheld=tuple(withheld),
    )


def _measured(folder: Path, grid: Grid, arm: ArmSpec) -> tuple[dict[str, float], dict[str, str]]:
    """Its measures, and why others are withheld."""
    of = grid.arms.get(arm.of or "", arm)
    if of.is_base:
        found, withheld = measured(_summary(folder, arm.name), {})
        return found | held_out(_drift(folder, _first_sft(grid, of), of=0)), withheld
    found, withheld = measured(_summary(folder, arm.name), _drift(folder, of, of=-1))
    never_annotated = {one.base for one in grid.arms.values() if one.method == "base_standard"}
    for key in [key for key in found if key.startswith("kl.")]:
        if of.base in never_annotated:
            # All that KL would say is that the base knows no delimiter.
            withheld[key] = "base without"
            del found[key]
    return found, withheld


def _first_sft(grid: Grid, base: ArmSpec) -> ArmSpec | None:
    """The first arm that starts from a base, whose run evaluates the base before it trains."""
    return next(
        (
            one
            for one in grid.arms.values()
            if not one.is_base and one.of is None and (one.base, one.size) == (base.base, base.size)
        ),
        None,
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
    of = grid.arms.get(arm.of or "", arm)
    if (folder / "arms" / arm.name / MANIFEST).is_file():
        run = {} if of.run is None or of.is_base else _json(folder / of.run / MANIFEST)
        sampling = _json(folder / "generations" / f"{arm.name}.manifest.json")
        return stale(of.overrides, run) or stale(arm.sampling, sampling)
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


def _drift(folder: Path, arm: ArmSpec | None, of: int) -> dict[str, float]:
    """The series about drift of an arm's run.

    :param of: which evaluation: 0 before the first step, -1 the last.
    """
    if arm is None or arm.run is None or not (path := folder / arm.run / _METRICS).is_file():
        return {}
    told: list[dict[str, float]] = []
    for line in path.read_bytes().splitlines():
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise InputError(f"{path}: a line is not JSON; train again") from None
        told.append({key: value for key, value in record.items() if key.startswith("drift/")})
    told = [one for one in told if one]
    return told[of] if told else {}


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
