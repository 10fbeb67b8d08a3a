"""docs/world.md can be typed as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.evaluation.judges.callables import load_callable
from olmo_anchor.evaluation.suite import read_suite
from olmo_anchor.study.judge import story_world

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "world.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w").mkdir()
    Path("w/weather.yaml").write_text(*blocks("yaml"))
    for line in "".join(blocks("bash")).replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert (program, done.exit_code) == ("olmo-anchor", 0), (line, done.output)
    tags = orjson.loads(Path("w/weather/truth.jsonl").read_bytes().splitlines()[0])["tags"]
    assert [key for key, _ in tags] == ["sky", "pet"]

    suite = (ROOT / "evals" / "story_world.yaml").read_text()
    for name in ("judge", "entropy_of"):
        said = re.search(rf"^    ({name}: .*)$", PAGE, re.MULTILINE)
        assert said is not None
        suite = re.sub(rf"^{name}: \S+", said[1], suite, flags=re.MULTILINE)
    Path("suite.yaml").write_text(suite)
    mine = read_suite(Path("suite.yaml"))
    assert mine.entropy_of in load_callable(mine.judge).values


def test_the_commands_that_need_more_than_seconds_can_be_read() -> None:
    for line in "".join(blocks("text")).replace("\\\n", " ").splitlines():
        _, group, name, *words = shlex.split(line)
        cli.commands[group].commands[name].make_context(name, words)


def test_the_story_of_the_page_is_one() -> None:
    quoted = PAGE.split("\n\n    Omar")[1].split("\n\n")[0]
    verdict = story_world("Omar " + " ".join(quoted.split()))
    assert (verdict.valid, verdict.labels["topic"]) == (True, "gardens")
