"""``olmo-anchor evaluate``: models or their answers to a summary, stage by stage.

OUT/generations/    what the models said, where it was not given
OUT/judged/         what judges said of it
OUT/scores.jsonl    one line per prompt (of ``labels`` and ``arms``: per response)
OUT/summary.json    the numbers, and what they were made from
OUT/manifest.json   last

A folder without a manifest is unfinished: the same call goes on where it stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.evaluate import Scores, compare_texts, judge_labels, measure_arms
from olmo_anchor.evaluation.suite import ArmSuite, Suite, TextSuite
from olmo_anchor.manifest import MANIFEST, check_output, prepare_output
from olmo_anchor.suites.answers import read_arm
from olmo_anchor.suites.capability import run_capability, summarise_capability, task_records
from olmo_anchor.suites.capability_spec import Capability
from olmo_anchor.suites.judging import Asking, check_judges, judge_arms, judges_of
from olmo_anchor.suites.measures import Context
from olmo_anchor.suites.models import Given, parse_models, parse_of_arms
from olmo_anchor.suites.plan import describe
from olmo_anchor.suites.read import AnySuite, read_any
from olmo_anchor.suites.sampling import plan_arms, sample, write_prompts
from olmo_anchor.suites.scoring import measure, pairs_of, prompt_records, summarise
from olmo_anchor.suites.spec import Benchmark
from olmo_anchor.suites.write import write_results

__all__ = ["EvaluateConfig", "parse_models"]

_LOCK = ".lock"
_OURS = (_LOCK, ".olmo-anchor")
"""What a folder has that nothing was written to yet."""


@dataclass(frozen=True)
class EvaluateConfig:
    """
    :param models: by name; a path is a generations file. Names that the suite compares must be its
        own.
    :param engine: runs the models, and scores the prior of suites of ``labels`` and ``arms``.
    :param url: of servers that have the models.
    :param judges: who judges, see :func:`~olmo_anchor.suites.judging.judges_of`.
    :param data: local copies of data sets, by the name that the suite has for them.
    :param bases: models that continue raw text, beside those of the suite.
    :param before: of suites of ``arms``: the model folder that post-training started from,
        ``NAME=FOLDER`` each, or one for all.
    :param taught: of suites of ``arms``: the labels of the SFT data, in the same form.
    :param limit: ask only the first so many prompts.
    :param seed: in the place of the suite's.
    :param changes: ``field=value`` each, in the place of what the suite says.
    :param about: what each model is (:mod:`~olmo_anchor.evaluation.about`), for figures.
    :param resume: add to a finished folder: other models, measures, judges.
    """

    suite: Path
    models: Mapping[str, Given | Path]
    out: Path
    engine: str | None = None
    url: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    data: Mapping[str, Path] = field(default_factory=dict)
    bases: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    taught: tuple[str, ...] = ()
    limit: int | None = None
    seed: int | None = None
    changes: tuple[str, ...] = ()
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resume: bool = False
    overwrite: bool = False

    def run(self) -> dict[str, Any]:
        """Write the folder ``out`` and return the summary.

        :raises InputError: for bad input, or a finished ``out`` without ``resume`` or
            ``overwrite``.
        :raises WorkFailed: when a model, a judge or a server failed; what is done is kept.
        """
        suite = self._suite()
        if isinstance(suite, Benchmark):
            self._refuse(suite.name, "before", "taught")
            judges = self._judges(suite)
            with self._at_work():
                return self._benchmark(suite, judges)
        if isinstance(suite, Capability):
            folders = self._folders(suite)
            with self._at_work():
                return self._capability(suite, folders)
        models = self._answers(suite)
        taught, before = self._of_arms(self.taught, "taught"), self._of_arms(self.before, "before")
        inputs = (self.suite, *models.values(), *taught.values(), *before.values())
        check_output(self.out, overwrite=self.overwrite, inputs=inputs)
        engine = self.engine or "hf"
        if isinstance(suite, TextSuite):
            scores, summary = compare_texts(suite, models)
        elif isinstance(suite, ArmSuite):
            scores, summary = measure_arms(suite, self.suite, models, taught, before, engine)
        else:
            scores, summary = judge_labels(suite, self.suite, models, engine)
        prepare_output(self.out, overwrite=self.overwrite, inputs=inputs)
        return self._write(suite, models, scores, summary)

    def dry_run(self) -> str:
        """What :meth:`run` would do, told without loading a model or writing anything."""
        suite = self._suite()
        if isinstance(suite, Benchmark):
            judges = self._judges(suite)
            return describe(suite, self._given, judges, self.out, self.data, self.limit)
        if isinstance(suite, Capability):
            names = ", ".join(f"{name} ({place})" for name, place in self._folders(suite).items())
            return f"{suite.name}: {', '.join(suite.tasks)}, of {names}"
        names = ", ".join(f"{name} ({path})" for name, path in self._answers(suite).items())
        return f"{suite.name}: would judge and compare the answers of {names}"

    @property
    def _given(self) -> dict[str, Given]:
        return {
            name: one if isinstance(one, Given) else Given(name, answers=one)
            for name, one in self.models.items()
        }

    def _of_arms(self, given: tuple[str, ...], option: str) -> dict[str, Path]:
        return parse_of_arms(given, list(self.models), f"--{option}")

    def _suite(self) -> AnySuite:
        suite = read_any(self.suite, self.changes)
        return suite if self.seed is None else replace(suite, seed=self.seed)

    def _judges(self, suite: Benchmark) -> list[Asking]:
        """What is wrong with them is said before hours of sampling, not after."""
        judges = judges_of(suite.judge, self.judges, self.out / "cache" / "judge.sqlite")
        check_judges(judges)
        return judges

    def _answers(self, suite: Suite | ArmSuite | TextSuite) -> dict[str, Path]:
        """Of suites that ask nothing themselves."""
        found = {}
        for name, given in self._given.items():
            if given.answers is None:
                raise InputError(
                    f"--model {name}={given.model}: is a model, and the suite {suite.name} judges "
                    f"answers; make them: olmo-anchor generate {given.model} --prompts "
                    f"PROMPTS.jsonl --out {name}.jsonl"
                )
            found[name] = given.answers
        self._refuse(suite.name, "judge", "data", "base", "limit", "url", "resume")
        if not isinstance(suite, ArmSuite):
            self._refuse(suite.name, "before", "taught")
        return found

    def _folders(self, suite: Capability) -> dict[str, Path]:
        """Of suites that ask through the harness."""
        found = {}
        for name, given in self._given.items():
            if given.model is None or not Path(given.model).is_dir():
                raise InputError(
                    f"--model {name}=...: {suite.name} needs a model's folder, as `olmo-anchor "
                    "export` makes it"
                )
            found[name] = Path(given.model)
        self._refuse(suite.name, "judge", "data", "url", "before", "taught")
        return found

    def _refuse(self, suite: str, *options: str) -> None:
        values = {
            "judge": self.judges,
            "data": self.data,
            "base": self.bases,
            "before": self.before,
            "taught": self.taught,
            "limit": self.limit,
            "url": self.url,
            "resume": self.resume,
        }
        if given := [option for option in options if values[option]]:
            raise InputError(f"--{given[0]}: has no meaning for the suite {suite}")

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """In ``out``, which is new, unfinished, or to be added to; and alone."""
        given = self._given
        if unknown := [name for name in self.bases if name not in given]:
            raise InputError(f"--base {unknown[0]}: no --model is named so")
        paths = [one.answers for one in given.values() if one.answers is not None]
        for path in paths:
            if not path.is_file():
                raise InputError(f"{path}: no such file, nor a model folder with a config.json")
        finished = (self.out / MANIFEST).is_file()
        check_output(
            self.out,
            overwrite=self.overwrite,
            resume=self.resume or (not finished and not self.overwrite),
            inputs=(self.suite, *paths, *self.data.values()),
        )
        fresh = not self.out.exists()
        prepare_output(self.out, resume=True)
        # Two that write into one folder would write everything twice.
        lock = FileLock(self.out / _LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise InputError(f"{self.out}: another evaluate is at work in it") from None
        try:
            if self.overwrite:
                _empty(self.out)
            yield
        except InputError:
            # What was refused at once leaves nothing behind.
            if fresh and not any(path.name not in _OURS for path in self.out.iterdir()):
                shutil.rmtree(self.out)
            raise
        finally:
            lock.release()

    def _benchmark(self, suite: Benchmark, judges: Sequence[Asking]) -> dict[str, Any]:
        given, asked = self._given, None
        if any(one.answers is None for one in given.values()):
            asked = write_prompts(suite, self.out, self.data, self.limit)
        elif self.data:
            raise InputError("--data: all answers are given, so nothing is asked")
        engine = {"engine": self.engine, "url": self.url}
        files = plan_arms(suite, given, asked, self.out, self.bases, engine)
        sample(files)
        arms = [
            read_arm(one.name, one.path, model=one.model, facts=one.facts, limit=self.limit)
            for one in files
        ]
        judged, absent = judge_arms(judges, arms, self.out)
        at = Context(suite, arms, self.out, judged, pairs_of(suite, arms), absent)
        found = measure(at)
        summary = {
            "suite": suite.name,
            "note": suite.note,
            "data": None if asked is None else asked.record,
            "judges": [{"what": one.what, "name": one.name, **one.identity} for one in judged],
            "embedder": suite.embedder,
            **summarise(at, found),
        }
        inputs = {one.name: one.path for one in files}
        return self._write(suite, inputs, prompt_records(at, found), summary)

    def _capability(self, suite: Capability, folders: Mapping[str, Path]) -> dict[str, Any]:
        results, absent = run_capability(
            suite, folders, self.out, engine=self.engine, bases=self.bases, limit=self.limit
        )
        found = summarise_capability(suite, results, absent)
        summary = {"suite": suite.name, "note": suite.note, "limit": self.limit, **found}
        return self._write(suite, folders, task_records(results), summary)

    def _write(
        self, suite: AnySuite, models: Mapping[str, Path], scores: Scores, summary: dict[str, Any]
    ) -> dict[str, Any]:
        call = {
            "engine": self.engine,
            "url": self.url,
            "judges": self.judges,
            "before": self.before,
            "taught": self.taught,
            "limit": self.limit,
            "changes": self.changes,
        }
        beside = [*self._of_arms(self.taught, "taught").values()]
        beside += self._of_arms(self.before, "before").values()
        inputs = (self.suite, *self.data.values(), *dict.fromkeys(beside))
        return write_results(self.out, suite, models, scores, summary, inputs, call, self.about)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in _OURS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
