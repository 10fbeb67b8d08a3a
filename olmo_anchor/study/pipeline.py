"""Run commands that need one another: a few at a time, each once, and again from where it stopped.

Every stage is a command that a user could type. It is done when its file is there (commands write
their manifest last) and not older than those of the stages that it needs.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.live import Live
from rich.table import Table

from olmo_anchor.errors import WorkFailed
from olmo_anchor.terminal import console

__all__ = ["Pipeline", "Stage"]

_LAST_LINES = 12


@dataclass(frozen=True)
class Stage:
    """One command.

    :param done: the file that the command writes last.
    :param needs: names of the stages whose output it reads.
    :param threads: of each process; more than one stage runs at a time.
    """

    name: str
    argv: tuple[str, ...]
    done: Path
    needs: tuple[str, ...] = ()
    threads: int = 1

    @property
    def command(self) -> str:
        """What to type to run it alone."""
        return f"OMP_NUM_THREADS={self.threads} {shlex.join(self.argv)}"


@dataclass
class _State:
    stage: Stage
    log: Path
    status: str = "waiting"
    began: float = 0.0
    seconds: float = 0.0
    process: subprocess.Popen[bytes] | None = None


@dataclass
class Pipeline:
    """:param logs: a folder; each stage's output goes to ``NAME.log`` there.
    :param parallel: stages that run at a time.
    """

    stages: Sequence[Stage]
    logs: Path
    title: str = ""
    parallel: int = 2
    on_finished: Callable[[Stage, float], None] = lambda stage, seconds: None
    _states: dict[str, _State] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for stage in self.stages:
            missing = [name for name in stage.needs if name not in self._states]
            if missing:
                raise ValueError(
                    f"stage {stage.name} needs {missing[0]}, which does not precede it"
                )
            self._states[stage.name] = _State(stage, self.logs / f"{stage.name}.log")

    def run(self) -> None:
        """Run what is not done.

        :raises WorkFailed: when a stage fails: its last lines, and the command to run it again.
        Stages that run beside it are stopped; Ctrl-C and SIGTERM stop them too.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        for state in self._states.values():
            if self._is_done(state.stage):
                state.status = "kept"
        # Stages have process groups of their own, which a SIGTERM to this process does not reach.
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            with self._display() as refresh:
                while self._step():
                    refresh()
                    time.sleep(0.1)
        finally:
            for state in self._states.values():
                _stop(state)
            signal.signal(signal.SIGTERM, before)

    def _is_done(self, stage: Stage) -> bool:
        if not stage.done.exists():
            return False
        made = stage.done.stat().st_mtime
        needed = [self._states[name] for name in stage.needs]
        return all(
            state.status == "kept" and state.stage.done.stat().st_mtime <= made for state in needed
        )

    def _step(self) -> bool:
        """Collect what ended, start what can; False when all is done."""
        for state in self._states.values():
            if state.status == "running":
                assert state.process is not None
                state.seconds = time.monotonic() - state.began
                if state.process.poll() is not None:
                    self._collect(state, state.process.returncode)
        running = sum(state.status == "running" for state in self._states.values())
        for state in self._states.values():
            if running >= self.parallel:
                break
            ready = all(self._states[name].status in ("kept", "done") for name in state.stage.needs)
            if state.status == "waiting" and ready:
                self._start(state)
                running += 1
        return any(state.status in ("waiting", "running") for state in self._states.values())

    def _start(self, state: _State) -> None:
        threads = str(state.stage.threads)
        with state.log.open("wb") as log:
            log.write(f"$ {state.stage.command}\n".encode())
            log.flush()
            state.process = subprocess.Popen(
                state.stage.argv,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"},
                # A group of its own: Ctrl-C comes to us, and we stop all of its processes.
                start_new_session=True,
            )
        state.began, state.status = time.monotonic(), "running"
        if not console.is_terminal:
            console.print(f"{self.title} {state.stage.name} ...", highlight=False)

    def _collect(self, state: _State, code: int) -> None:
        stage = state.stage
        if code == 0 and stage.done.exists():
            state.status = "done"
            self.on_finished(stage, state.seconds)
            if not console.is_terminal:
                line = f"{self.title} {stage.name} done, {state.seconds:.0f} s"
                console.print(line, highlight=False)
            return
        state.status = "failed"
        tail = state.log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
        why = f"exit code {code}" if code else f"it ended without writing {stage.done}"
        raise WorkFailed(
            "\n".join(
                [
                    f"the stage {stage.name} failed ({why}). The last lines of {state.log}:",
                    *(f"    {line}" for line in tail),
                    "Run the demo again to go on from here, or this stage alone:",
                    f"    {stage.command}",
                ]
            )
        )

    @contextmanager
    def _display(self) -> Iterator[Callable[[], None]]:
        if not console.is_terminal:
            yield lambda: None
            return
        with Live(self._table(), console=console, refresh_per_second=4) as live:
            yield lambda: live.update(self._table())
            live.update(self._table())

    def _table(self) -> Table:
        marks = {
            "waiting": "[dim]·[/]",
            "running": "[yellow]▸[/]",
            "done": "[green]✓[/]",
            "kept": "[green dim]✓[/]",
            "failed": "[red]✗[/]",
        }
        table = Table(title=self.title, box=None, title_justify="left", show_header=False)
        for state in self._states.values():
            took = "kept" if state.status == "kept" else ""
            if state.status in ("running", "done", "failed"):
                took = f"{state.seconds:.0f} s"
            table.add_row(marks[state.status], state.stage.name, took)
        return table


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _stop(state: _State) -> None:
    process = state.process
    if process is None or process.poll() is not None:
        return
    state.status = "stopped"
    for how in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(process.pid, how)
        try:
            process.wait(timeout=5)
            return
        except subprocess.TimeoutExpired:
            continue
