"""``olmo-anchor study run``: the arms of a grid at each seed, with the real commands, and the page.

OUT/seed-N/...                          what olmo_anchor/study/grid/stages.py lists
OUT/seed-N/grid.json                    the arms
OUT/seed-N/logs/STAGE.log, times.json
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import sha256_file, versions, write_json
from olmo_anchor.study.grid.costs import estimate
from olmo_anchor.study.grid.grid import Arm, Grid, choose
from olmo_anchor.study.grid.read import read_grid
from olmo_anchor.study.grid.record import FILE, arm_records, commits
from olmo_anchor.study.grid.stages import SeedStages, overrides
from olmo_anchor.study.pipeline.board import duration
from olmo_anchor.study.pipeline.commands import REPOSITORY, check_clone, commit, olmo_anchor
from olmo_anchor.study.pipeline.pipeline import Pipeline, Stopped
from olmo_anchor.study.pipeline.stage import Stage, kind_of
from olmo_anchor.study.pipeline.times import Times, makespan, read_times
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
            seconds += makespan(list(map(expected, left)), self.parallel)
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
            self._write_grid(grid, arms, seed)
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
            self._write_grid(grid, arms, seed)
        self._page()
        console.print(f"{self.out}: {_size(self.out) / 1e9:.1f} GB", highlight=False)
        if failures:
            raise WorkFailed("\n".join(failures))

    def _choose(self) -> tuple[Grid, list[Arm]]:
        check_clone("study")
        grid = read_grid(self.grid)
        _check_files(grid)
        return grid, choose(grid, self.arms)

    def _root(self, seed: int) -> Path:
        return (self.out / f"seed-{seed}").absolute()

    def _pipeline(self, grid: Grid, arms: Sequence[Arm], seed: int) -> Pipeline:
        root = self._root(seed)
        stages = SeedStages(grid, root, seed, self.engine, self.documents).of(arms)
        times = Times(root)
        earlier = read_times(sorted(self.out.glob("seed-*")))
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

    def _write_grid(self, grid: Grid, arms: Sequence[Arm], seed: int) -> None:
        root = self._root(seed)
        record = {
            "seed": seed,
            "grid": {"path": self.grid.name, "sha256": sha256_file(self.grid)},
            "world": {"documents": self.documents, "file": grid.world},
            "engine": self.engine,
            "commit": commits(root, commit()),
            "versions": versions(),
            "groups": {name: group.tests for name, group in grid.groups.items()},
            "arms": arm_records(grid, arms, root),
        }
        write_json(root / FILE, record)

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
        found.setdefault(kind_of(stage.name), []).append(stage.name)
    return found


def _in(names: Sequence[str], those: set[str]) -> int:
    return sum(name in those for name in names)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
