"""The job: killed at any moment and resumed it gives the same files; tasks do not change them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.annotate.job import AnnotateConfig
from olmo_anchor.annotate.plan import Plan, tasks_for
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.errors import InputError
from tests.annotate.conftest import records

pytest.importorskip("yake", reason="the extra `annotate` is not installed")

TEXTS = [f"The captain met Anne Bonny at harbour {k}.\n\nA storm came." for k in range(30)]
KEYWORD = AnnotatorConfig(name="keyword")


def annotate(tokens: Path, out: Path, **options: Any) -> Any:
    return AnnotateConfig(tokens=tokens, annotator=KEYWORD, out=out, **options).run()


def start(tokens: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    command = ("-m", "olmo_anchor.cli", "annotate", tokens, "--annotator", "keyword", "--out", out)
    return subprocess.Popen(
        [sys.executable, *map(str, command), *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def lines_done(out: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (out / "tasks").glob("?????.jsonl"))


def wait_for_lines(out: Path, count: int) -> int:
    for _ in range(600):
        done = lines_done(out)
        if done >= count:
            return done
        time.sleep(0.05)
    raise AssertionError(f"after 30 seconds {done} lines")


def same_records(one: Path, two: Path) -> bool:
    return [path.read_bytes() for path in sorted((one / "records").iterdir())] == [
        path.read_bytes() for path in sorted((two / "records").iterdir())
    ]


@pytest.mark.slow
def test_killed_and_resumed_it_gives_the_same_files(tokenize: Any, tmp_path: Path) -> None:
    tokens = tokenize([text * 40 for text in TEXTS])
    whole = annotate(tokens, tmp_path / "whole", tasks=2)
    out = tmp_path / "annotations"

    first = start(tokens, out, "--tasks", "2")
    done = wait_for_lines(out, 1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(0.5)  # what the killed process had started ends itself
    kept = lines_done(out)
    assert kept >= done
    time.sleep(0.5)
    assert lines_done(out) == kept, "something of the killed job is still at work"

    with pytest.raises(InputError, match="--resume finishes it"):
        annotate(tokens, out)
    with pytest.raises(InputError, match=r"other settings or inputs \(min_chunk_tokens\)"):
        annotate(tokens, out, resume=True, min_chunk_tokens=4)
    with pytest.raises(InputError, match="begun with --tasks 2"):
        annotate(tokens, out, resume=True, tasks=3)
    assert lines_done(out) == kept
    resumed = annotate(tokens, out, resume=True)
    assert resumed.counts == whole.counts
    assert same_records(out, tmp_path / "whole")
    assert annotate(tokens, out, resume=True).hash == resumed.hash
    assert sorted(path.name for path in out.iterdir()) == [
        ".olmo-anchor",
        "manifest.json",
        "records",
    ]


@pytest.mark.slow
def test_a_second_job_on_the_folder_is_refused(tokenize: Any, tmp_path: Path) -> None:
    tokens, out = tokenize([text * 40 for text in TEXTS]), tmp_path / "annotations"
    first = start(tokens, out)
    wait_for_lines(out, 1)
    for options in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(InputError, match="another annotate works on it"):
            annotate(tokens, out, **options)
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    assert first.wait() != 0
    assert annotate(tokens, out, resume=True).counts["chunks"] == 30 * 41


@pytest.mark.slow
def test_tasks_and_workers_do_not_change_the_records(tokenize: Any, tmp_path: Path) -> None:
    tokens = tokenize(TEXTS)
    annotate(tokens, tmp_path / "one")
    manifest = annotate(tokens, tmp_path / "two", workers=2, tasks=7)
    assert len(manifest.extra["records"]) == 7
    assert records(tmp_path / "one") == records(tmp_path / "two")
    assert len(records(tmp_path / "one")) == 60


def test_limit_counts_documents(tokenize: Any, tmp_path: Path) -> None:
    manifest = annotate(tokenize(TEXTS), tmp_path / "annotations", limit=4)
    assert manifest.counts["chunks"] == 8


def test_short_chunks_are_joined_and_the_overlay_is_told(tokenize: Any, tmp_path: Path) -> None:
    manifest = annotate(tokenize(TEXTS), tmp_path / "annotations", min_chunk_tokens=1000)
    assert manifest.counts["chunks"] == 30
    assert manifest.extra["min_chunk_tokens"] == 1000


def test_shares_cover_every_document_once() -> None:
    plan = Plan(
        tokens=Path(), out=Path(), annotator=KEYWORD, min_chunk_tokens=0, documents=10, tasks=4
    )
    assert [plan.share(task) for task in range(4)] == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert tasks_for(tokens=10, documents=3, workers=8) == 3
    assert tasks_for(tokens=10, documents=99, workers=1) == 1
    assert tasks_for(tokens=10, documents=99, workers=2) == 8
    assert tasks_for(tokens=10**9, documents=10**6, workers=2) == 20


@pytest.mark.slow
def test_tokens_behind_a_url_are_read_in_place(tokenize: Any, tmp_path: Path) -> None:
    tokens = tokenize(TEXTS)
    annotate(tokens, tmp_path / "here")
    command = ("-m", "olmo_anchor.cli", "annotate", tokens.as_uri(), "--annotator", "keyword")
    out = tmp_path / "there"
    subprocess.run([sys.executable, *map(str, command), "--out", out], check=True)
    assert records(out) == records(tmp_path / "here")
    said = subprocess.run(
        [sys.executable, *map(str, command[:3]), "nowhere://x", *command[4:], "--out", out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    assert "nowhere://x: cannot be reached" in said.stderr
