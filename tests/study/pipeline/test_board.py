"""What is shown of stages: never more than a screen, and the time that is left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from olmo_anchor.study.pipeline import board as module
from olmo_anchor.study.pipeline.board import Shown, board, duration, table, time_left


def one(name: str, status: str, seconds: float = 0, expected: float | None = 10) -> Shown:
    return Shown(name, status, seconds, expected, Path(f"logs/{name}.log"))


def lines(stages: list[Shown]) -> list[str]:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table("seed 3", stages, 2))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_few_stages_are_shown_one_by_one() -> None:
    shown = lines([one("world", "kept"), one("tokens", "running", 3.2), one("overlay", "waiting")])
    assert [line.split() for line in shown] == [
        ["seed", "3"],
        ["✓", "world", "kept"],
        ["▸", "tokens", "3", "s"],
        ["·", "overlay"],
    ]


def test_of_many_the_kinds_are_counted_and_what_runs_or_failed_is_named() -> None:
    stages = [one("world", "done"), *(one(f"bases/{i}", "kept") for i in range(12))]
    stages += [one(f"runs/{i}", "failed") for i in range(9)]
    stages += [one("runs/9", "running", 4), *(one(f"arms/{i}", "waiting") for i in range(400))]
    assert [line.split() for line in lines(stages)] == [
        ["seed", "3"],
        ["✓", "world", "1", "of", "1"],
        ["✓", "bases", "12", "of", "12"],
        ["·", "runs", "0", "of", "10"],
        ["·", "arms", "0", "of", "400"],
        ["▸", "runs/9", "4", "s"],
        *(["✗", f"runs/{i}", f"logs/runs/{i}.log"] for i in range(5)),
        ["✗", "4", "more", "failed"],
        ["left", "about", "33", "min"],
    ]


def test_time_left_is_of_what_will_run() -> None:
    stages = [one("a", "done", 10), one("b", "running", 4), one("c", "waiting"), one("d", "failed")]
    assert time_left(stages, 1) == 16
    assert time_left(stages, 2) == 10  # c alone takes as long
    assert time_left([one("late", "running", 14)], 2) == 0
    assert time_left([one("a", "waiting", expected=None)], 2) is None
    assert [duration(s) for s in (7.4, 99, 101, 4000, 7300)] == [
        "7 s",
        "99 s",
        "2 min",
        "67 min",
        "2 h 02 min",
    ]


def test_without_a_terminal_each_stage_that_ends_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "console", Console(stderr=True, force_terminal=False))
    many = [one(f"arms/{i}", "waiting") for i in range(30)]
    with board("seed 3", 2) as show:
        show([one("world", "running"), *many])
        show([one("world", "done", 2), *many])
        show([one("world", "done", 2), one("arms/0", "failed"), *many[1:]])
    assert capsys.readouterr().err.splitlines() == [
        "seed 3 world done, 2 s (1 of 31, about 2 min left)",
        "seed 3 arms/0 FAILED, see logs/arms/0.log",
    ]
