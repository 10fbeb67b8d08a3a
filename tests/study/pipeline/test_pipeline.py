"""Stages run in order, once, and again from where they stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from olmo_anchor.errors import WorkFailed
from olmo_anchor.study.pipeline.pipeline import Pipeline, Stopped
from olmo_anchor.study.pipeline.stage import Stage


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
        "from olmo_anchor.study.pipeline.pipeline import Pipeline\n"
        "from olmo_anchor.study.pipeline.stage import Stage\n"
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


def test_a_stage_of_another_command_runs_again_with_what_depends_on_it(tmp_path: Path) -> None:
    def stages(code: str) -> list[Stage]:
        return [
            stage(tmp_path, "a"),
            stage(tmp_path, "b", "a", code=code),
            stage(tmp_path, "c", "b"),
            stage(tmp_path, "other", "a"),
        ]

    Pipeline(stages("1"), tmp_path / "logs").run()
    ran(tmp_path)
    Pipeline(stages("2"), tmp_path / "logs").run()
    assert ran(tmp_path) == ["b", "c"]
    assert Pipeline(stages("2"), tmp_path / "logs").done() == {"a", "b", "c", "other"}
    assert Pipeline(stages("1"), tmp_path / "logs").done() == {"a", "other"}


def test_a_stage_runs_again_when_a_file_that_decides_it_has_other_contents(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text("one")
    stages = [stage(tmp_path, "a"), replace(stage(tmp_path, "b", "a"), reads=(suite,))]
    Pipeline(stages, tmp_path / "logs").run()
    ran(tmp_path)
    suite.touch()
    Pipeline(stages, tmp_path / "logs").run()
    assert ran(tmp_path) == []
    suite.write_text("two")
    Pipeline(stages, tmp_path / "logs").run()
    assert ran(tmp_path) == ["b"]


def test_a_stage_is_the_same_in_another_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    Pipeline([stage(here, "a")], here / "logs", places={here: "OUT"}).run()
    here.rename(there)
    assert Pipeline([stage(there, "a")], there / "logs", places={there: "OUT"}).done() == {"a"}


def test_a_failure_stops_only_what_needs_it(tmp_path: Path) -> None:
    stages = [
        stage(tmp_path, "good"),
        stage(tmp_path, "bad", "good", code="raise SystemExit('no such thing')"),
        stage(tmp_path, "after", "bad"),
        stage(tmp_path, "last", "after", "good"),
        stage(tmp_path, "other", "good"),
    ]
    pipeline = Pipeline(stages, tmp_path / "logs", parallel=1, keep_going=True)
    with pytest.raises(WorkFailed) as error:
        pipeline.run()
    assert ran(tmp_path) == ["good", "other"]
    message = str(error.value)
    assert "the stage bad failed (exit code 1)" in message
    assert "no such thing" in message
    assert stages[1].command in message
    assert message.endswith("2 of 5 stages are done, 1 failed, 2 left out")


def test_many_failures_are_told_shortly(tmp_path: Path) -> None:
    stages = [stage(tmp_path, f"s{i}", code="raise SystemExit(4)") for i in range(5)]
    with pytest.raises(WorkFailed) as error:
        Pipeline(stages, tmp_path / "logs", keep_going=True).run()
    lines = str(error.value).splitlines()
    assert sum("failed (exit code 4)" in line for line in lines) == 3
    assert f"s4 failed too: {tmp_path / 'logs' / 's4.log'}" in lines


def test_what_lies_there_from_before_does_not_count(tmp_path: Path) -> None:
    Pipeline([stage(tmp_path, "a")], tmp_path / "logs").run()
    idle = replace(stage(tmp_path, "a"), argv=(sys.executable, "-c", "pass"))
    with pytest.raises(WorkFailed, match="ended without writing"):
        Pipeline([idle], tmp_path / "logs").run()
    assert Pipeline([idle], tmp_path / "logs").done() == set()
    assert (tmp_path / "a.done").exists()  # commands know their own output by it


def test_when_the_time_is_up_the_same_call_goes_on(tmp_path: Path) -> None:
    # As a training run: told to stop, it writes what it has, and goes on from there.
    program = (
        "import pathlib, signal, sys, time\n"
        f"folder = pathlib.Path({str(tmp_path / 'run')!r}); folder.mkdir(exist_ok=True)\n"
        "def stop(*_): (folder / 'checkpoint').touch(); sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "(folder / 'began').touch()\n"
        "if not (folder / 'checkpoint').exists(): time.sleep(60)\n"
        "(folder / 'done').touch()"
    )
    folder = tmp_path / "run"
    argv = (sys.executable, "-c", program)
    stages = [
        Stage("run", argv, folder / "done", resumes=folder),
        stage(tmp_path, "after", "run"),
    ]
    with pytest.raises(Stopped, match=r"the time is up; the same call goes on\. 0 of 2 stages"):
        Pipeline(stages, tmp_path / "logs", stop_after=2).run()
    assert sorted(path.name for path in folder.iterdir()) == ["began", "checkpoint"]
    Pipeline(stages, tmp_path / "logs", stop_after=20).run()
    assert ran(tmp_path) == ["after"]


def test_what_another_command_began_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def stages(more: str) -> list[Stage]:
        program = (
            f"import pathlib; folder = pathlib.Path({str(folder)!r}); folder.mkdir(exist_ok=True)\n"
            f"(folder / {more!r}).touch(); (folder / 'done').touch()"
        )
        argv = (sys.executable, "-c", program)
        first = stage(tmp_path, "first")
        return [first, Stage("run", argv, folder / "done", ("first",), resumes=folder)]

    def left(stages: list[Stage]) -> list[str]:
        Pipeline(stages, tmp_path / "logs").run()
        return sorted(path.name for path in folder.iterdir())

    assert left(stages("one")) == ["done", "one"]
    assert left(stages("two")) == ["done", "two"]
    (folder / "done").unlink()  # as if it had been killed
    (folder / "checkpoint").touch()
    assert left(stages("two")) == ["checkpoint", "done", "two"]
    (tmp_path / "first.done").unlink()  # what it began with is made anew
    assert left(stages("two")) == ["done", "two"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere stages outlive a killed parent")
def test_after_a_kill_nothing_goes_on_beside_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "quick.py").write_text("open('quick', 'a').write('x')")
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "for _ in range(600 if pathlib.Path('long').exists() else 0):\n"
        "    open('beat', 'a').write('x'); time.sleep(0.05)\n"
        "open('slow', 'a').write('x')"
    )
    (tmp_path / "run.py").write_text(
        "import sys; from pathlib import Path\n"
        "from olmo_anchor.study.pipeline.pipeline import Pipeline\n"
        "from olmo_anchor.study.pipeline.stage import Stage\n"
        "quick = Stage('quick', (sys.executable, 'quick.py'), Path('quick'))\n"
        "slow = Stage('slow', (sys.executable, 'slow.py'), Path('slow'), ('quick',))\n"
        "Pipeline([quick, slow], Path('logs')).run()"
    )
    beat = tmp_path / "beat"
    (tmp_path / "long").touch()
    parent = subprocess.Popen([sys.executable, "run.py"], cwd=tmp_path)
    deadline = time.monotonic() + 20
    while not beat.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.kill()
    parent.wait(timeout=20)
    time.sleep(0.5)
    beats = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == beats
    (tmp_path / "long").unlink()
    subprocess.run([sys.executable, "run.py"], cwd=tmp_path, check=True, timeout=60)
    assert [(tmp_path / name).read_text() for name in ("quick", "slow")] == ["x", "x"]


def test_stages_must_follow_what_they_need(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs b"):
        Pipeline([stage(tmp_path, "a", "b"), stage(tmp_path, "b")], tmp_path / "logs")
