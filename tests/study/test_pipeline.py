"""Stages run in order, once, and again from where they stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from olmo_anchor.errors import WorkFailed
from olmo_anchor.study.pipeline import Pipeline, Stage
from olmo_anchor.study.stages import ARMS, comparison, story_world


def stage(folder: Path, name: str, *needs: str, code: str = "") -> Stage:
    """A command that notes that it ran, then writes its file."""
    done = folder / f"{name}.done"
    program = (
        f"print('this is {name}'); {code or 'pass'}\n"
        f"open({str(folder / 'ran')!r}, 'a').write({name + ' '!r})\n"
        f"open({str(done)!r}, 'w')"
    )
    return Stage(name, (sys.executable, "-c", program), done, needs)


def ran(folder: Path) -> list[str]:
    path = folder / "ran"
    words = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return words


def test_each_stage_follows_what_it_needs(tmp_path: Path) -> None:
    stages = [
        stage(tmp_path, "world"),
        stage(tmp_path, "left", "world"),
        stage(tmp_path, "right", "world"),
        stage(tmp_path, "both", "left", "right"),
    ]
    Pipeline(stages, tmp_path / "logs").run()
    order = ran(tmp_path)
    assert order[0] == "world"
    assert order[-1] == "both"
    assert sorted(order) == ["both", "left", "right", "world"]
    log = (tmp_path / "logs" / "left.log").read_text()
    assert log.startswith("$ OMP_NUM_THREADS=1 ")
    assert "this is left" in log


def test_what_is_done_is_kept_and_what_depends_on_new_work_is_not(tmp_path: Path) -> None:
    stages = [
        stage(tmp_path, "a"),
        stage(tmp_path, "b", "a"),
        stage(tmp_path, "c", "b"),
        stage(tmp_path, "other"),
    ]
    Pipeline(stages, tmp_path / "logs").run()
    ran(tmp_path)
    Pipeline(stages, tmp_path / "logs").run()
    assert ran(tmp_path) == []
    (tmp_path / "b.done").unlink()
    Pipeline(stages, tmp_path / "logs").run()
    assert ran(tmp_path) == ["b", "c"]


def test_two_run_at_a_time_and_no_more(tmp_path: Path) -> None:
    count = (
        "import pathlib, time, os\n"
        f"here = pathlib.Path({str(tmp_path / 'now')!r}); here.mkdir(exist_ok=True)\n"
        "mine = here / str(os.getpid()); mine.touch(); time.sleep(0.5)\n"
        f"open({str(tmp_path / 'most')!r}, 'a').write(str(len(list(here.iterdir()))) + ' ')\n"
        "time.sleep(0.3); mine.unlink()"
    )
    stages = [stage(tmp_path, f"s{i}", code="pass\n" + count) for i in range(4)]
    Pipeline(stages, tmp_path / "logs", parallel=2).run()
    assert max(map(int, (tmp_path / "most").read_text().split())) == 2


def test_a_failure_says_what_happened_and_how_to_go_on(tmp_path: Path) -> None:
    bad = stage(tmp_path, "bad", "good", code="raise SystemExit('no such thing')")
    stages = [stage(tmp_path, "good"), bad, stage(tmp_path, "after", "bad")]
    with pytest.raises(WorkFailed) as error:
        Pipeline(stages, tmp_path / "logs").run()
    message = str(error.value)
    assert "the stage bad failed (exit code 1)" in message
    assert "no such thing" in message
    assert bad.command in message
    assert ran(tmp_path) == ["good"]


def test_a_stage_that_leaves_nothing_has_failed(tmp_path: Path) -> None:
    empty = Stage("empty", (sys.executable, "-c", "pass"), tmp_path / "never")
    with pytest.raises(WorkFailed, match="ended without writing"):
        Pipeline([empty], tmp_path / "logs").run()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_children(tmp_path: Path, how: signal.Signals) -> None:
    program = (
        "import signal, sys; from pathlib import Path\n"
        # A shell's background jobs ignore SIGINT, and hand that down.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from olmo_anchor.study.pipeline import Pipeline, Stage\n"
        f"here = Path({str(tmp_path)!r})\n"
        'child = \'import os, time; open("pid", "w").write(str(os.getpid())); time.sleep(60)\'\n'
        "Pipeline([Stage('long', (sys.executable, '-c', child), here / 'x')], here / 'logs').run()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    pid_file = tmp_path / "pid"
    deadline = time.monotonic() + 20
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # until the parent has the child's handle
    child = int(pid_file.read_text())
    parent.send_signal(how)
    parent.wait(timeout=20)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_stages_must_follow_what_they_need(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs b"):
        Pipeline([stage(tmp_path, "a", "b"), stage(tmp_path, "b")], tmp_path / "logs")


def test_the_arms_of_the_demo_are_matched(tmp_path: Path) -> None:
    stages = {one.name: one for one in comparison(tmp_path, 3, story_world(tmp_path, 3))}
    assert set(ARMS) <= set(stages)

    def data(arm: str) -> list[str]:
        argv = list(stages[arm].argv)
        return [argv[argv.index(option) + 1] for option in ("--tokens", "--overlay")]

    assert data("base_standard") == data("base_annotated")
    assert data("sft_standard") == data("sft_anchored")
    assert "base_annotated" in stages["sft_anchored"].needs
    assert "base_standard" in stages["sft_standard"].needs
    Pipeline(list(stages.values()), tmp_path / "logs")
