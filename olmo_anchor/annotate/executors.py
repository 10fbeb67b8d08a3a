"""The tasks of a job on datatrove's executors: this machine, Slurm or Ray.

datatrove decides which task runs where and marks those that are done; a task itself is
:func:`olmo_anchor.annotate.task.run_task`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.annotate.folder import JobFolder
from olmo_anchor.annotate.gpus import claim_gpus
from olmo_anchor.annotate.plan import Plan
from olmo_anchor.annotate.task import run_task
from olmo_anchor.errors import AnchorError, InputError, WorkFailed

__all__ = ["check_options", "run_tasks", "submit_to_slurm"]

_FAILED = 3


@dataclass(frozen=True)
class AnnotateStep:
    """A datatrove pipeline of one step: the task of its rank.

    :param shared_machine: nobody but us gives the workers their GPUs.
    """

    plan: Plan
    shared_machine: bool = False

    def __call__(self, data: Any, rank: int = 0, world_size: int = 1) -> None:
        annotator = self.plan.annotator
        if self.shared_machine and annotator.name == "vllm":
            claim_gpus(self.plan.out / "tasks", annotator.llm.tensor_parallel_size or 1)
        run_task(self.plan, rank)


@dataclass(frozen=True)
class FinishStep:
    """What follows the tasks on a cluster."""

    finish: Callable[[Plan], Any]
    plan: Plan

    def __call__(self, data: Any, rank: int = 0, world_size: int = 1) -> None:
        self.finish(self.plan)


def run_tasks(
    plan: Plan,
    executor: str,
    workers: int,
    options: dict[str, Any],
    follow: Callable[[Callable[[], bool]], None],
) -> None:
    """Run the tasks that are left and wait for them.

    The executor has a process of its own, which leads a group: it prints into ``logs/``, and all
    that it started ends with this process, however that ends.

    :param options: of the executor's class in datatrove.
    :param follow: called with a function that tells whether the executor is alive; returns when it
        is not.
    :raises WorkFailed: when a task fails; the same call goes on from there.
    """
    folder = JobFolder(plan.out)
    folder.logs.mkdir(parents=True, exist_ok=True)
    for stale in (plan.out / "tasks").glob("*.error.json"):
        stale.unlink()
    context = multiprocessing.get_context("spawn")
    log = folder.logs / "executor.log"
    child = context.Process(target=_drive, args=(plan, executor, workers, options, log))
    child.start()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        follow(child.is_alive)
        child.join()
    finally:
        signal.signal(signal.SIGTERM, before)
        _kill(child)
    if child.exitcode:
        raise _why(plan, log, child.exitcode)


def submit_to_slurm(plan: Plan, workers: int, options: dict[str, Any], finish: Any) -> list[str]:
    """Submit the tasks that are left, and after them what finishes the folder; the ids of the jobs.

    :raises InputError: when the options lack what Slurm needs, or ``sbatch`` is not there.
    """
    out, step = plan.out, AnnotateStep(plan)
    tasks = _executor("slurm", step, out, plan.tasks, workers, options, "tasks")
    light = {**options, "gpus_per_task": 0, "job_name": "olmo-anchor-finish"}
    ending = FinishStep(finish, plan)
    last = _executor("slurm", ending, out, 1, 1, light, "finish", depends=tasks)
    try:
        last.run()
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: not found; submit from a machine with Slurm") from None
    return [str(job.job_id) for job in (tasks, last) if job.job_id is not None]


def check_options(executor: str, workers: int, options: dict[str, Any], out: Path) -> None:
    """:raises InputError: when datatrove is missing, or its executor does not take the options."""
    _executor(executor, None, out, 1, workers, options, "tasks")


def _executor(
    name: str,
    step: Any,
    out: Path,
    tasks: int,
    workers: int,
    options: dict[str, Any],
    logs: str,
    **more: Any,
) -> Any:
    try:
        from datatrove.executor import (
            LocalPipelineExecutor,
            RayPipelineExecutor,
            SlurmPipelineExecutor,
        )
    except ImportError as error:
        raise InputError(
            f"annotating needs {error.name}: pip install 'olmo-anchor[annotate]'"
        ) from None
    kinds = {
        "local": LocalPipelineExecutor,
        "slurm": SlurmPipelineExecutor,
        "ray": RayPipelineExecutor,
    }
    folder = JobFolder(out)
    if name == "slurm":
        options = {
            "job_name": "olmo-anchor-annotate",
            "venv_path": f"{sys.prefix}/bin/activate",
            "slurm_logs_folder": str(folder.logs / "slurm"),
            **options,
        }
    place = {"logging_dir": str(folder.logs / logs), "tasks": tasks, "workers": workers}
    try:
        return kinds[name](pipeline=[step], **{**place, **options, **more})
    except TypeError as error:
        raise InputError(f"--executor {name}: {error}; see --executor-options") from None


def _drive(
    plan: Plan, executor: str, workers: int, options: dict[str, Any], log: Path
) -> None:  # pragma: no cover, runs in a process of its own
    os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        step = AnnotateStep(plan, shared_machine=executor == "local")
        _executor(executor, step, plan.out, plan.tasks, workers, options, "tasks").run()
    except AnchorError:
        os._exit(_FAILED)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _kill(child: Any) -> None:
    """End the executor and all that it started. Journals stand whatever happens to their writer."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(child.pid) == child.pid:
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.join()


def _why(plan: Plan, log: Path, code: int) -> AnchorError:
    errors = sorted(
        (plan.out / "tasks").glob("*.error.json"), key=lambda path: path.stat().st_mtime
    )
    if not errors:
        return WorkFailed(f"{plan.out}: the executor ended with code {code}; see {log}")
    first = orjson.loads(errors[0].read_bytes())
    kind = InputError if first["exit_code"] == InputError.exit_code else WorkFailed
    more = f" ({len(errors)} tasks failed)" if len(errors) > 1 else ""
    return kind(f"{first['message']}{more}; --resume goes on from here")
