"""What every task of a job knows: all that decides its records, and its share of the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from olmo_anchor.annotate.registry import AnnotatorConfig

__all__ = ["Plan", "tasks_for"]

_TASK_TOKENS = 50_000_000
_TASKS_PER_WORKER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job, cut into tasks of consecutive documents; it is pickled and sent to machines.

    :param documents: that are annotated, the first ones of the corpus.
    :param tasks: at most ``documents``.
    """

    tokens: Path
    out: Path
    annotator: AnnotatorConfig
    min_chunk_tokens: int
    documents: int
    tasks: int
    max_rejected: float | None = None

    def share(self, task: int) -> tuple[int, int]:
        """The first document of a task, over all parts, and the first one after it."""
        return (
            self.documents * task // self.tasks,
            self.documents * (task + 1) // self.tasks,
        )


def tasks_for(tokens: int, documents: int, workers: int) -> int:
    """So many tasks that workers that are done early find another, and none takes for ever."""
    by_size = -(-tokens // _TASK_TOKENS)
    by_workers = 1 if workers == 1 else _TASKS_PER_WORKER * workers
    return max(1, min(documents, max(by_size, by_workers)))
