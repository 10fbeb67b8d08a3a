"""``olmo-anchor study run``: the arms of a grid at each seed, with the real commands, and the page.

OUT/seed-N/...                          what olmo_anchor/study/grid/stages.py lists
OUT/seed-N/grid.json                    the arms
OUT/seed-N/logs/STAGE.log, times.json
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import sha256_file, versions, write_json
from olmo_anchor.study.demo.stages import REPOSITORY, olmo_anchor
from olmo_anchor.study.grid.costs import estimate, read_times
from olmo_anchor.study.grid.grid import Arm, Grid, choose
from olmo_anchor.study.grid.read import read_grid
from olmo_anchor.study.grid.stages import SeedStages, overrides
from olmo_anchor.study.pipeline.board import duration
from olmo_anchor.study.pipeline.pipeline import Pipeline, Stage, Stopped
from olmo_anchor.study.pipeline.times import Times
from olmo_anchor.terminal import console

__all__ = ["GRID", "StudyConfig"]

GRID = REPOSITORY / "train_configs" / "study.yaml"
_GRACE = 60.0
"""Seconds that a training run has to write a checkpoint when the time is up."""


@dataclass(frozen=True)
class StudyConfig:
    """:param seeds: one after the other; a world, its models and its samples follow from the seed.
    :param arms: groups or patterns of arms; empty for all groups that are run by default.
    :param grid: what there is to choose from.
    :param parallel: stages at a time, of one thread each.
    :param engine: what samples: ``hf`` or ``vllm``.
    :param documents: fewer or more pretraining documents of the world.
    :param stop_after: seconds, after which what runs is stopped.
    """

    out: Path
    seeds: tuple[int, ...] = (0,)
    arms: tuple[str, ...] = ()
    grid: Path = GRID
    parallel: int = 2
    engine: str = "hf"
    documents: int | None = None
    stop_after: float | None = None

    def plan(self) -> str:
        """What a call would do, and how long it may take.

        :raises InputError: as :meth:`run`.
        """
        grid, arms = self._choose()
        lines = [_listed(grid, arms)]
        seconds = 0.0
        for seed in self.seeds:
            pipeline = self._pipeline(grid, arms, seed)
            done = pipeline.done()
            expected = pipeline.expected
            assert expected is not None
            left = [stage for stage in pipeline.stages if stage.name not in done]
            took = sum(map(expected, left)) / self.parallel
            seconds += max([took, *map(expected, left)])
            lines.append(f"seed {seed}: {len(done)} of {len(pipeline.stages)} stages are done")
            lines += [
                f"  {kind:12} {len(those) - _in(those, done):4} to do, {_in(those, done):4} done"
                for kind, those in _kinds(pipeline.stages).items()
            ]
        lines.append(f"about {duration(seconds)} with {self.parallel} at a time")
        return "\n".join(lines)

    def run(self) -> None:
        """Run what is missing, seed after seed; a failing arm stops only what needs it.

        :raises InputError: when the grid is wrong, or another call is at work in the folder.
        :raises WorkFailed: when a stage failed or the time was up; the same call goes on.
        """
        grid, arms = self._choose()
        self.out.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.out / ".lock", timeout=0):
                self._run(grid, arms)
        except Timeout:
            raise InputError(f"{self.out}: another study run is at work there") from None

    def _run(self, grid: Grid, arms: Sequence[Arm]) -> None:
        failures = []
        began = time.monotonic()
        for seed in self.seeds:
            root = self._root(seed)
            write_json(root / "grid.json", self._described(grid, arms, seed))
            pipeline = self._pipeline(grid, arms, seed)
            if self.stop_after is not None:
                pipeline.stop_after = self.stop_after - (time.monotonic() - began)
            try:
                pipeline.run()
            except Stopped:
                raise
            except WorkFailed as failure:
                failures.append(f"seed {seed}: {failure}")
            # Now that the manifests of data and runs are there.
            write_json(root / "grid.json", self._described(grid, arms, seed))
        self._page()
        console.print(f"{self.out}: {_size(self.out) / 1e9:.1f} GB", highlight=False)
        if failures:
            raise WorkFailed("\n".join(failures))

    def _choose(self) -> tuple[Grid, list[Arm]]:
        if not (REPOSITORY / "train_configs").is_dir():
            raise InputError(
                f"{REPOSITORY}: there are no train_configs/ here; run the study from a clone of "
                "the repository, installed with pip install --editable"
            )
        grid = read_grid(self.grid)
        _check_files(grid)
        return grid, choose(grid, self.arms)

    def _root(self, seed: int) -> Path:
        return (self.out / f"seed-{seed}").absolute()

    def _pipeline(self, grid: Grid, arms: Sequence[Arm], seed: int) -> Pipeline:
        root = self._root(seed)
        stages = SeedStages(grid, root, seed, self.engine, self.documents).of(arms)
        times = Times(root)
        earlier = read_times([root, *sorted(self.out.glob("seed-*"))])
        return Pipeline(
            stages,
            root / "logs",
            f"seed {seed}",
            self.parallel,
            times.keep,
            keep_going=True,
            grace=_GRACE,
            places={root: "OUT", REPOSITORY: "."},
            expected=estimate(earlier, stages),
        )

    def _described(self, grid: Grid, arms: Sequence[Arm], seed: int) -> dict[str, Any]:
        """``grid.json``: these arms, and those of earlier calls that the grid has unchanged."""
        root = self._root(seed)
        now = [_description(grid, arm, root) for arm in arms]
        names = {arm["name"] for arm in now}
        path = root / "grid.json"
        if path.is_file():
            for one in orjson.loads(path.read_bytes())["arms"]:
                arm = grid.arms.get(one["name"])
                if arm is None or one["name"] in names:
                    continue
                again = _description(grid, arm, root)
                if _deciding(again) == _deciding(one):
                    now.append(again)
        order = list(grid.arms)
        return {
            "seed": seed,
            "grid": {"path": self.grid.name, "sha256": sha256_file(self.grid)},
            "world": {"documents": self.documents, "file": grid.world},
            "engine": self.engine,
            "versions": versions(),
            "groups": {name: group.tests for name, group in grid.groups.items()},
            "arms": sorted(now, key=lambda arm: order.index(arm["name"])),
        }

    def _page(self) -> None:
        """What was found, as far as there are results."""
        if not any(self.out.glob("seed-*/arms/*/*/manifest.json")):
            return
        ended = subprocess.run(
            olmo_anchor("study", "page", self.out), capture_output=True, text=True, check=False
        )
        if ended.returncode:
            console.print(f"no page was made: {ended.stderr.strip()}", highlight=False)
        else:
            print(ended.stdout, end="")


def _check_files(grid: Grid) -> None:
    """:raises InputError: when a recipe or the suite that the grid names is not there."""
    recipes = {f"bases: {name}": base.recipe for name, base in grid.bases.items()}
    recipes |= {f"groups: {arm.name}": arm.recipe for arm in grid.arms.values() if arm.recipe}
    for where, recipe in recipes.items():
        if not (REPOSITORY / "train_configs" / f"{recipe}.py").is_file():
            raise InputError(f"{grid.path}: {where}: recipe: there is no train_configs/{recipe}.py")
    if not (REPOSITORY / "evals" / f"{grid.suite}.yaml").is_file():
        raise InputError(f"{grid.path}: suite: there is no evals/{grid.suite}.yaml")


def _description(grid: Grid, arm: Arm, root: Path) -> dict[str, Any]:
    found = asdict(arm)
    found |= {
        "title": arm.title or arm.name.rpartition("/")[2],
        "of": arm.of,
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
            found["data_entropy_bits"] = orjson.loads(manifest.read_bytes())["extra"][
                "entropy_bits"
            ]
    del found["set"], found["sample"]
    return found


def _deciding(described: dict[str, Any]) -> dict[str, Any]:
    aside = ("title", "data_entropy_bits")
    stored: dict[str, Any] = orjson.loads(orjson.dumps(described, option=orjson.OPT_NON_STR_KEYS))
    return {name: value for name, value in stored.items() if name not in aside}


def _listed(grid: Grid, arms: Sequence[Arm]) -> str:
    lines = []
    for name, group in grid.groups.items():
        those = [arm for arm in arms if arm.group == name]
        if those:
            lines.append(f"{name}: {group.tests}")
            lines += [f"  {_one_line(arm)}" for arm in those]
    return "\n".join(lines)


def _one_line(arm: Arm) -> str:
    how = f"{arm.recipe} on {arm.data}, " if arm.recipe else ""
    what = [f"samples {arm.of}" if arm.of else f"{how}from {arm.starts_from}"]
    what += overrides(arm.sample)
    return f"{arm.name:44} {', '.join(what)}"


def _kinds(stages: Sequence[Stage]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for stage in stages:
        found.setdefault(stage.name.partition("/")[0], []).append(stage.name)
    return found


def _in(names: Sequence[str], those: set[str]) -> int:
    return sum(name in those for name in names)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
