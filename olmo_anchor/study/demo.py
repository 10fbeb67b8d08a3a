"""``olmo-anchor study demo``: the whole comparison, from nothing to a report, with the real
commands.

OUT/seed-N/...                          what olmo_anchor/study/stages.py lists
OUT/seed-N/logs/STAGE.log, times.json
OUT/seed-N/summary.json
OUT/report.html
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import sha256_file, write_json
from olmo_anchor.progress import console
from olmo_anchor.study.pipeline import Pipeline, Stage
from olmo_anchor.study.stages import REPOSITORY, Material, comparison, story_world

__all__ = ["DemoConfig"]


@dataclass(frozen=True)
class DemoConfig:
    """:param seeds: one comparison each; a world, its models and its samples follow from the seed.
    :param engine: what samples: ``hf`` (installed with the demo) or ``vllm``.
    :param documents: fewer or more pretraining documents of the world.
    :param corpus, sft: a user's own files in the place of the world; both or none.
    :param tokenizer: for those: a ``tokenizer.json``, a folder or a hub id.
    :param parallel: stages at a time; two processes with one thread each beat one with two.
    """

    out: Path
    seeds: tuple[int, ...] = (0,)
    engine: str = "hf"
    documents: int | None = None
    corpus: Path | None = None
    sft: Path | None = None
    tokenizer: str = "allenai/dolma2-tokenizer"
    parallel: int = 2

    def run(self) -> Path:
        """Run what is missing; returns the path of the report.

        :raises InputError: when the recipes are not beside the package, or a file is missing.
        :raises WorkFailed: when a stage fails; the same call goes on from there.
        """
        if not (REPOSITORY / "train_configs").is_dir():
            raise InputError(
                f"{REPOSITORY}: there are no train_configs/ here; run the demo from a clone of the "
                "repository, installed with pip install --editable"
            )
        if (self.corpus is None) != (self.sft is None):
            raise InputError("--corpus and --sft belong together: give both or none")
        folders = []
        for seed in self.seeds:
            root = (self.out / f"seed-{seed}").absolute()
            self._claim(root)
            stages = comparison(root, seed, self._material(root, seed), engine=self.engine)
            run_stages(stages, root, title=f"seed {seed}", parallel=self.parallel)
            shutil.copyfile(root / "evaluation" / "summary.json", root / "summary.json")
            folders.append(root)
        from olmo_anchor.report.page import write_report

        page = self.out / "report.html"
        write_report(folders, page)
        return page

    def _claim(self, root: Path) -> None:
        """Note what the folder is for, so that no stage is kept of a demo on something else."""
        given = (self.corpus, self.sft, Path(self.tokenizer) if self.corpus else None)
        settings = {
            "engine": self.engine,
            "documents": self.documents,
            "files": [sha256_file(path) for path in given if path and path.is_file()],
        }
        path = root / "settings.json"
        if path.is_file() and orjson.loads(path.read_bytes()) != settings:
            raise InputError(
                f"{root}: holds a demo on other files or settings; name another --out (make: "
                "OUT=), or delete it"
            )
        write_json(path, settings)

    def _material(self, root: Path, seed: int) -> Material:
        if self.corpus is None or self.sft is None:
            return story_world(root, seed, documents=self.documents)
        from olmo_anchor.study.corpus import own_files

        return own_files(root, self.corpus, self.sft, self.tokenizer)


def run_stages(stages: list[Stage], root: Path, *, title: str, parallel: int) -> None:
    """Run a pipeline; ``times.json`` keeps the seconds of its stages over all resumed runs."""
    path = root / "times.json"
    times: dict[str, float] = {}
    wall = 0.0
    if path.is_file():
        stored = orjson.loads(path.read_bytes())
        times = {stage["name"]: stage["seconds"] for stage in stored["stages"]}
        wall = stored["seconds"]
    began = time.monotonic()

    def keep(stage: Stage, seconds: float) -> None:
        times[stage.name] = round(seconds, 1)
        write_json(
            path,
            {
                "seconds": round(wall + time.monotonic() - began, 1),
                "stages": [{"name": name, "seconds": took} for name, took in times.items()],
            },
        )

    pipeline = Pipeline(stages, root / "logs", title, parallel, keep)
    pipeline.run()
    console.print(f"{title}: {wall + time.monotonic() - began:.0f} s in all", highlight=False)
