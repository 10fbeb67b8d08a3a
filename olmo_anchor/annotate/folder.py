"""Where things lie in an ANNOTATIONS_DIR.

While the work goes on::

    job.json                  what the folder is made from, and in how many tasks
    tasks/NNNNN.jsonl         the journal of a task: the outcome of each of its chunks, in order
    tasks/NNNNN.json          the task is done: its counts and the hash of its records
    tasks/NNNNN.error.json    why the task failed
    logs/                     what the executor and its tasks printed

At its end::

    records/NNNNN.jsonl.zst   one record per annotated chunk; over all files in the corpus' order
    rejected.jsonl            chunks that should have an annotation and have none, with the reason
    manifest.json             last
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from olmo_anchor.errors import InputError

__all__ = ["JobFolder", "TaskFiles", "sole"]


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """The files of one task."""

    folder: Path
    number: int

    def _beside(self, ending: str) -> Path:
        return self.folder / "tasks" / f"{self.number:05d}.{ending}"

    @property
    def records(self) -> Path:
        return self.folder / "records" / f"{self.number:05d}.jsonl.zst"

    @property
    def journal(self) -> Path:
        return self._beside("jsonl")

    @property
    def rejected(self) -> Path:
        return self._beside("rejected.jsonl")

    @property
    def done(self) -> Path:
        return self._beside("json")

    @property
    def error(self) -> Path:
        return self._beside("error.json")

    @property
    def lock(self) -> Path:
        return self._beside("lock")


@dataclass(frozen=True, slots=True)
class JobFolder:
    folder: Path

    @property
    def job(self) -> Path:
        return self.folder / "job.json"

    @property
    def lock(self) -> Path:
        return self.folder / ".lock"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def rejected(self) -> Path:
        return self.folder / "rejected.jsonl"

    def task(self, number: int) -> TaskFiles:
        return TaskFiles(self.folder, number)


@contextmanager
def sole(path: Path, what: str) -> Iterator[None]:
    """Hold a lock; it ends with the process, however that ends.

    :raises InputError: when another process holds it, on this machine or, where the file system
        supports locks, on another.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(f"{what}: another annotate works on it; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()
