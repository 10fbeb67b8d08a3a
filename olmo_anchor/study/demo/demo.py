"""``olmo-anchor study demo``: the whole comparison, from nothing to a report, with the real
commands.

OUT/seed-N/...                          what olmo_anchor/study/demo/stages.py lists
OUT/seed-N/logs/STAGE.log, times.json
OUT/seed-N/summary.json
OUT/report.html
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import sha256_file, versions, write_json
from olmo_anchor.study.demo.own_files import OWN_FILES, own_files
from olmo_anchor.study.demo.stages import STORY_WORLD, Choices, Material, comparison, story_world
from olmo_anchor.study.pipeline.commands import REPOSITORY, check_clone
from olmo_anchor.study.pipeline.pipeline import Pipeline
from olmo_anchor.study.pipeline.stage import Stage
from olmo_anchor.study.pipeline.times import Times
from olmo_anchor.terminal import console

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
        check_clone("demo")
        if (self.corpus is None) != (self.sft is None):
            raise InputError("--corpus and --sft belong together: give both or none")
        folders = []
        for seed in self.seeds:
            root = (self.out / f"seed-{seed}").absolute()
            self._claim(root)
            stages = comparison(root, seed, self._material(root, seed), engine=self.engine)
            self._run(stages, root, f"seed {seed}")
            shutil.copyfile(root / "evaluation" / "summary.json", root / "summary.json")
            folders.append(root)
        from olmo_anchor.report.page import write_report

        page = self.out / "report.html"
        write_report(folders, page)
        console.print(
            f"next: olmo-anchor chat {folders[0] / 'models' / 'sft_anchored'}",
            highlight=False,
            soft_wrap=True,
        )
        return page

    def _claim(self, root: Path) -> None:
        """Note what the folder is made from, so that no stage is kept of a demo on something else.

        :raises InputError: when the folder was made from something else.
        """
        given: dict[str, Path] = {}
        if self.corpus and self.sft:
            given = {"corpus": self.corpus, "sft": self.sft, "tokenizer": Path(self.tokenizer)}
        settings = {
            "engine": self.engine,
            "documents": self.documents,
            "files": {
                name: sha256_file(path) if path.is_file() else str(path)
                for name, path in given.items()
            },
            "recipes": {path.name: sha256_file(path) for path in self._choices.files()},
            "versions": versions(),
        }
        path = root / "settings.json"
        if path.is_file() and (changed := _changed(orjson.loads(path.read_bytes()), settings)):
            raise InputError(
                f"{root}: holds a demo with another {', '.join(changed)}; name another --out "
                "(make: OUT=), or delete this folder"
            )
        write_json(path, settings)

    def _run(self, stages: Sequence[Stage], root: Path, title: str) -> None:
        times = Times(root)
        places = {root: "OUT", REPOSITORY: "."}
        Pipeline(stages, root / "logs", title, self.parallel, times.keep, places=places).run()
        console.print(f"{title}: {times.total:.0f} s in all", highlight=False)

    @property
    def _choices(self) -> Choices:
        return STORY_WORLD if self.corpus is None else OWN_FILES

    def _material(self, root: Path, seed: int) -> Material:
        if self.corpus is None or self.sft is None:
            return story_world(root, seed, documents=self.documents)
        return own_files(root, self.corpus, self.sft, self.tokenizer)


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names of what differs, such as ``engine`` or ``recipes story_base_standard.py``."""
    changed = []
    for name, value in now.items():
        stored = before.get(name)
        if isinstance(value, dict) and isinstance(stored, dict):
            differ = [k for k in {**stored, **value} if stored.get(k) != value.get(k)]
            changed += [f"{name}: {key}" for key in differ]
        elif stored != value:
            changed.append(name)
    return changed
