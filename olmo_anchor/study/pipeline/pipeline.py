"""Run commands that need one another: a few at a time, each once, and again from where it stopped.

Every stage is a command that a user could type. It is done when its file is there (commands write
their manifest last), not older than those of the stages that it needs, and made by the same
command: ``LOGS/NAME.made.json`` keeps what it was made by.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from olmo_anchor.errors import WorkFailed
from olmo_anchor.manifest import sha256_file, write_json
from olmo_anchor.study.pipeline.board import Shown, board
from olmo_anchor.study.pipeline.commands import anywhere
from olmo_anchor.study.pipeline.processes import sigterm_interrupts, start, stop
from olmo_anchor.study.pipeline.stage import Stage

__all__ = ["Pipeline", "Stopped"]

_LAST_LINES = 12
_TOLD = 3
"""Failures that are told in full."""
_GRACE = 5.0
"""Seconds that a stage has to end, once told to."""


class Stopped(WorkFailed):
    """The time given was up; the same call goes on."""


@dataclass
class _State:
    stage: Stage
    log: Path
    made: dict[str, object]
    status: str = "waiting"
    began: float = 0.0
    seconds: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    stale: float | None = None
    """When what lay there before the start was written."""

    @property
    def note(self) -> Path:
        return self.log.with_name(f"{self.log.stem}.made.json")


@dataclass
class Pipeline:
    """:param logs: a folder; each stage's output goes to ``NAME.log`` there.
    :param parallel: stages that run at a time.
    :param keep_going: after a failure, run what does not need it.
    :param stop_after: seconds, after which nothing is started and what runs is stopped.
    :param places: folders that commands name, and what they are known as: a stage is the same in
        another place.
    :param expected: seconds that a stage will take.
    """

    stages: Sequence[Stage]
    logs: Path
    title: str = ""
    parallel: int = 2
    on_finished: Callable[[Stage, float], None] = lambda stage, seconds: None
    keep_going: bool = False
    stop_after: float | None = None
    grace: float = _GRACE
    places: Mapping[Path, str] = field(default_factory=dict)
    expected: Callable[[Stage], float] | None = None
    _states: dict[str, _State] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for stage in self.stages:
            missing = [name for name in stage.needs if name not in self._states]
            if missing:
                raise ValueError(
                    f"stage {stage.name} needs {missing[0]}, which does not precede it"
                )
            made: dict[str, object] = {
                "argv": self._known(stage.argv),
                "reads": [sha256_file(path) for path in stage.reads],
            }
            log = self.logs / f"{stage.name}.log"
            self._states[stage.name] = _State(stage, log, made)

    def done(self) -> set[str]:
        """Names of the stages that need not be run."""
        self._mark()
        return {name for name, state in self._states.items() if state.status == "kept"}

    def run(self) -> None:
        """Run what is not done.

        :raises WorkFailed: when a stage fails: its last lines, and the command to run it again.
        Stages that run beside it are stopped, except with ``keep_going``; Ctrl-C and SIGTERM stop
        them too.
        :raises Stopped: when the time was up before all was done.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self._mark()
        with sigterm_interrupts():
            try:
                self._until_done()
            finally:
                self._stop()
        failed = [state for state in self._states.values() if state.status == "failed"]
        if failed:
            told = [_failure(state) for state in failed[:_TOLD]]
            told += [f"{one.stage.name} failed too: {one.log}" for one in failed[_TOLD:]]
            raise WorkFailed("\n".join([*told, self._counted()]))

    def _until_done(self) -> None:
        began = time.monotonic()
        with board(self.title, self.parallel) as show:
            while self._step():
                show(self._shown())
                if self.stop_after is not None and time.monotonic() - began > self.stop_after:
                    self._stop()
                    raise Stopped(
                        f"{self.title}: the time is up; the same call goes on. {self._counted()}"
                    )
                time.sleep(0.2)
            show(self._shown())

    def _known(self, argv: Sequence[str]) -> list[str]:
        return anywhere(argv, self.places)

    def _mark(self) -> None:
        for state in self._states.values():
            state.status = "kept" if self._is_done(state) else "waiting"

    def _is_done(self, state: _State) -> bool:
        stage = state.stage
        if not stage.done.exists() or not self._is_ours(state, finished=True):
            return False
        made = stage.done.stat().st_mtime
        needed = [self._states[name] for name in stage.needs]
        return all(
            one.status == "kept" and one.stage.done.stat().st_mtime <= made for one in needed
        )

    def _is_ours(self, state: _State, *, finished: bool) -> bool:
        """Whether what lies there was begun, or also finished, by this very command."""
        try:
            stored = orjson.loads(state.note.read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return False
        if finished and not stored.pop("finished", True):
            return False
        stored.pop("finished", None)
        return bool({**stored, "argv": self._known(stored["argv"])} == state.made)

    def _step(self) -> bool:
        """Collect what ended, start what can; False when nothing is left that could run."""
        for state in self._states.values():
            if state.status == "running":
                assert state.process is not None
                state.seconds = time.monotonic() - state.began
                if state.process.poll() is not None:
                    self._collect(state, state.process.returncode)
        running = sum(state.status == "running" for state in self._states.values())
        for state in self._states.values():
            if state.status != "waiting":
                continue
            needed = {self._states[name].status for name in state.stage.needs}
            if needed & {"failed", "left out"}:
                state.status = "left out"
            elif running < self.parallel and needed <= {"kept", "done"}:
                self._start(state)
                running += 1
        return any(state.status in ("waiting", "running") for state in self._states.values())

    def _start(self, state: _State) -> None:
        stage = state.stage
        state.log.parent.mkdir(parents=True, exist_ok=True)
        if stage.resumes is not None and not self._resumes(state):
            shutil.rmtree(stage.resumes, ignore_errors=True)
        state.stale = _written(stage.done)
        write_json(state.note, {**state.made, "finished": False})
        with state.log.open("wb") as log:
            log.write(f"$ {stage.command}\n".encode())
            log.flush()
            state.process = start(stage.argv, log, threads=stage.threads)
        state.began, state.status = time.monotonic(), "running"

    def _resumes(self, state: _State) -> bool:
        """Whether it goes on with what this command began, on what it needs as it is now."""
        if not self._is_ours(state, finished=False):
            return False
        began = state.note.stat().st_mtime
        needed = [self._states[name].stage for name in state.stage.needs]
        return all(stage.done.stat().st_mtime <= began for stage in needed)

    def _collect(self, state: _State, code: int) -> None:
        stage = state.stage
        written = _written(stage.done)
        # A training run that was stopped in its last moment says that it is finished already.
        if code == 0 and written is not None and (written != state.stale or stage.resumes):
            write_json(state.note, {**state.made, "finished": True})
            state.status = "done"
            self.on_finished(stage, state.seconds)
            return
        state.status = "failed"
        if not self.keep_going:
            raise WorkFailed(_failure(state))

    def _shown(self) -> list[Shown]:
        expect = self.expected
        return [
            Shown(
                state.stage.name,
                state.status,
                state.seconds,
                None if expect is None else expect(state.stage),
                state.log,
            )
            for state in self._states.values()
        ]

    def _counted(self) -> str:
        found = [state.status for state in self._states.values()]
        done = found.count("done") + found.count("kept")
        counts = [f"{done} of {len(found)} stages are done"]
        counts += [
            f"{found.count(what)} {what}" for what in ("failed", "left out") if what in found
        ]
        return ", ".join(counts)

    def _stop(self) -> None:
        running = [state for state in self._states.values() if state.status == "running"]
        stop([state.process for state in running if state.process is not None], self.grace)
        for state in running:
            state.status = "stopped"


def _failure(state: _State) -> str:
    stage, code = state.stage, state.process.returncode if state.process else None
    tail = state.log.read_text("utf-8", "replace").splitlines()[1:][-_LAST_LINES:]
    why = f"exit code {code}" if code else f"it ended without writing {stage.done}"
    return "\n".join(
        [
            f"the stage {stage.name} failed ({why}). The last lines of {state.log}:",
            *(f"    {line}" for line in tail),
            "Give the same call again to go on from here, or run this stage alone:",
            f"    {stage.command}",
        ]
    )


def _written(path: Path) -> float | None:
    return path.stat().st_mtime if path.exists() else None
