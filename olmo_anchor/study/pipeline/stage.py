"""A stage of a pipeline: one command, the file that says it is done, and what it needs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stage", "kind_of"]


@dataclass(frozen=True)
class Stage:
    """One command.

    :param name: a path; its first part is the kind of the stage, where there are many.
    :param done: the file that the command writes last.
    :param needs: names of the stages whose output it reads.
    :param threads: of each process; more than one stage runs at a time.
    :param resumes: the folder in which the command goes on where it was stopped. It refuses one
        that something else was begun in, so such a folder is deleted first.
    :param reads: files that decide the result, and may change: the command with other contents is
        another command.
    :param cost: in times another stage of the kind, for estimates.
    """

    name: str
    argv: tuple[str, ...]
    done: Path
    needs: tuple[str, ...] = ()
    threads: int = 1
    resumes: Path | None = None
    reads: tuple[Path, ...] = ()
    cost: float = 1.0

    @property
    def command(self) -> str:
        """What to type to run it alone."""
        return f"OMP_NUM_THREADS={self.threads} {shlex.join(self.argv)}"


def kind_of(name: str) -> str:
    """``runs`` of a stage ``runs/lr/sft_anchored``."""
    return name.partition("/")[0]
