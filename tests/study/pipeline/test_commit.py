"""By which code a seed was run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from olmo_anchor.manifest import write_json
from olmo_anchor.study.grid.record import commits
from olmo_anchor.study.pipeline.commands import commit


def test_a_commit_is_named_and_a_change_marks_it(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    assert commit(tmp_path) == "unknown"
    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-m", "a")
    clean = commit(tmp_path)
    assert len(clean) >= 7
    assert not clean.endswith("+")
    (tmp_path / "a.py").write_text("2")
    assert commit(tmp_path) == f"{clean}+"


def test_the_commits_of_earlier_calls_stay(tmp_path: Path) -> None:
    assert commits(tmp_path, "b") == "b"
    write_json(tmp_path / "grid.json", {"commit": "a, b"})
    assert commits(tmp_path, "c") == "a, b, c"
    assert commits(tmp_path, "a") == "a, b"
    write_json(tmp_path / "grid.json", {})
    assert commits(tmp_path, "c") == "c"
