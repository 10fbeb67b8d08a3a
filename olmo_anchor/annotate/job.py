"""From a TOKENS_DIR to an ANNOTATIONS_DIR (``olmo-anchor annotate``).

A job is cut into tasks of consecutive documents, which run on this machine, on Slurm or on Ray (see
``executors.py``); ``folder.py`` tells what lies in the folder. Documents are cut into chunks as the
overlay cuts them (:mod:`olmo_anchor.corpus.chunks`). A record is::

    {"part", "doc", "id", "chunk", "text_hash", "tags": [[key, value], ...], "annotator", "attempt"}
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.annotate.executors import check_options, run_tasks, submit_to_slurm
from olmo_anchor.annotate.finish import finish
from olmo_anchor.annotate.folder import JobFolder, sole
from olmo_anchor.annotate.follow import show_progress
from olmo_anchor.annotate.plan import Plan, tasks_for
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.annotate.task import run_task
from olmo_anchor.corpus.part_journal import PartJournal
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.journal import rejected_line
from olmo_anchor.manifest import (
    MANIFEST,
    FileRecord,
    Manifest,
    prepare_output,
    read_manifest,
    write_json,
)
from olmo_anchor.terminal import console

__all__ = ["AnnotateConfig", "open_tokens", "summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateConfig:
    """Annotate every chunk of a TOKENS_DIR.

    :param tokens: the folder, or one of :func:`~olmo_anchor.corpus.remote.remote_folder`.
    :param min_chunk_tokens: shorter chunks are joined to the next.
    :param executor: ``local``, ``slurm`` or ``ray``.
    :param executor_options: of datatrove's executor, such as Slurm's partition.
    :param tasks: pieces that the job is cut into; by default, see
        :func:`~olmo_anchor.annotate.plan.tasks_for`.
    :param workers: tasks at a time.
    :param limit: only the first documents.
    :param max_rejected: the share of annotations above which the work fails; without one,
        :func:`~olmo_anchor.journal.default_share`.
    """

    tokens: Path
    annotator: AnnotatorConfig
    out: Path
    min_chunk_tokens: int = 0
    executor: str = "local"
    executor_options: dict[str, Any] = field(default_factory=dict)
    tasks: int | None = None
    workers: int = 1
    limit: int | None = None
    max_rejected: float | None = None
    overwrite: bool = False
    resume: bool = False

    def run(self) -> Manifest | None:
        """Do what is left to do; None when it was handed to Slurm and goes on there.

        :raises InputError: when the tokens, the annotations or the call are wrong, ``out`` exists,
            or another job works on it.
        :raises WorkFailed: when a task failed or too many chunks were rejected; what is done is
            kept, and ``resume`` goes on.
        """
        self.annotator.check()
        tokens = open_tokens(self.tokens)
        key = self._key(tokens)
        if self.resume and (self.out / MANIFEST).exists():
            manifest = read_manifest(self.out, "annotations")
            PartJournal.check(self.out, manifest.extra["key"], key)
            console.print(f"{self.out}: finished already")
            return manifest
        # Before anything is written, or what would be replaced is gone.
        tokens.check_bounds()
        tokens.tokenizer()
        if self.annotator.name != "vllm":  # which takes minutes to load, and the tasks' GPUs
            self.annotator.build()
        if self.annotator.in_tasks:
            check_options(self.executor, self.workers, self.executor_options, self.out)
        folder = JobFolder(self.out)
        if folder.lock.exists():
            with sole(folder.lock, str(self.out)):
                pass
        local = [self.tokens] if isinstance(self.tokens, Path) else []
        prepare_output(self.out, overwrite=self.overwrite, resume=self.resume, inputs=local)
        with sole(folder.lock, str(self.out)):
            plan = self._plan(tokens, self._begin(folder, tokens, key))
            return self._run(plan)

    def _key(self, tokens: TokensDir) -> dict[str, Any]:
        return {
            "tokens_manifest": tokens.manifest.hash,
            **self.annotator.key(),
            "min_chunk_tokens": self.min_chunk_tokens,
            "limit": self.limit,
        }

    def _begin(self, folder: JobFolder, tokens: TokensDir, key: dict[str, Any]) -> int:
        """Note what the folder is made from, or check it; how many tasks there are."""
        if folder.job.exists():
            job = orjson.loads(folder.job.read_bytes())
            PartJournal.check(self.out, job["key"], key)
            if self.tasks not in (None, job["tasks"]):
                raise InputError(
                    f"{self.out}: was begun with --tasks {job['tasks']}; resume it with the same"
                )
            return int(job["tasks"])
        documents = self._documents(tokens)
        tasks = 1
        if self.annotator.in_tasks:
            wanted = tasks_for(tokens.tokens, documents, self.workers)
            tasks = min(documents, self.tasks or wanted)
        job = {"key": key, "tasks": tasks, "inputs": self._inputs(tokens, key)}
        write_json(folder.job, {**job, "config": asdict(self)})
        return tasks

    def _documents(self, tokens: TokensDir) -> int:
        return min(tokens.documents, self.limit or tokens.documents)

    def _inputs(self, tokens: TokensDir, key: dict[str, Any]) -> list[FileRecord]:
        made_of = {
            "path": str(self.tokens.resolve() / MANIFEST),
            "sha256": tokens.manifest.hash,
        }
        return [made_of, *([key["annotations"]] if key["annotations"] else [])]

    def _plan(self, tokens: TokensDir, tasks: int) -> Plan:
        return Plan(
            tokens=self.tokens.absolute() if isinstance(self.tokens, Path) else self.tokens,
            out=self.out.absolute(),
            annotator=self.annotator,
            min_chunk_tokens=self.min_chunk_tokens,
            documents=self._documents(tokens),
            tasks=tasks,
            max_rejected=self.max_rejected,
        )

    def _run(self, plan: Plan) -> Manifest | None:
        if self.executor == "slurm":
            jobs = submit_to_slurm(plan, self.workers, self.executor_options, finish)
            console.print(
                f"{self.out}: {plan.tasks} tasks submitted as job {', '.join(jobs)}; the last one "
                "writes the manifest. --resume submits what is left",
                highlight=False,
            )
            return None
        if self.annotator.in_tasks:
            follow = partial(show_progress, plan)
            run_tasks(plan, self.executor, self.workers, self.executor_options, follow)
        else:
            run_task(plan, 0)
        manifest = finish(plan)
        shutil.rmtree(JobFolder(plan.out).logs, ignore_errors=True)
        return manifest


def open_tokens(folder: Path) -> TokensDir:
    """The TOKENS_DIR of a job.

    :raises InputError: when it cannot be annotated.
    """
    tokens = TokensDir.open(folder)
    tokens.check_not_interleaved()
    tokens.check_contents()
    return tokens


def summary(manifest: Manifest, config: AnnotateConfig) -> str:
    """What a person wants to know when it is done, with the next command."""
    counts, reasons = manifest.counts, manifest.extra["rejected_reasons"]
    records = counts["annotations"] + counts["rejected"]
    return (
        f"{config.out}: {counts['annotations']:,} of {counts['chunks']:,} chunks annotated, "
        f"{counts['unannotated']:,} without an annotation\n"
        f"{rejected_line(reasons, records, config.out / 'rejected.jsonl')}\n"
        f"next: olmo-anchor overlay {config.tokens} {config.out} --out OVERLAY_DIR"
    )
