"""``olmo-anchor tokenize`` that was stopped or killed goes on, and gives the same bytes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.corpus.tokenize import TokenizeConfig
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.corpus.conftest import contents, conversation, documents


def test_resume_of_a_finished_folder_changes_nothing(tokenize: Any) -> None:
    out, manifest = tokenize(documents("The cat"))
    stamp = (out / "manifest.json").stat().st_mtime_ns
    _, again = tokenize(documents("The cat"), resume=True)
    assert again.hash == manifest.hash
    assert (out / "manifest.json").stat().st_mtime_ns == stamp


def unfinished(tokenize: Any, records: list[dict[str, str]]) -> Path:
    """A folder whose parts are all done, but for which too many records were rejected."""
    with pytest.raises(WorkFailed) as caught:
        tokenize(records, part_tokens=2, max_rejected=0.0)
    return Path(re.findall(r"See (.*)/rejected\.jsonl", str(caught.value))[0])


def test_resume_with_other_inputs_or_settings_is_refused(tokenize: Any) -> None:
    records = [*documents("The cat", "sat"), {"id": "x"}]
    folders = [unfinished(tokenize, records)]
    folders.append(tokenize(records, "finished", part_tokens=2)[0])
    for out in folders:
        before = contents(out)
        with pytest.raises(InputError, match=r"other settings or inputs \(part_tokens\)"):
            tokenize(records, out.name, part_tokens=3, resume=True)
        with pytest.raises(InputError, match=r"other settings or inputs \(inputs.*\)"):
            tokenize(records[1:], out.name, part_tokens=2, resume=True)
        assert contents(out) == before


def test_resume_with_other_delimiters_is_refused(
    tokenize: Any, tiny_tokenizer_file: Path, tmp_path: Path
) -> None:
    out, _ = tokenize(documents("The cat"))
    other = tmp_path / "other"
    AnchorTokenizer.load(tiny_tokenizer_file, delimiters=("<|im_start|>", "<|im_end|>")).save(other)
    config = TokenizeConfig((tmp_path / "input.jsonl",), str(other), out, resume=True)
    with pytest.raises(InputError, match=r"other settings or inputs \(delimiters\)"):
        config.run()


def test_resume_makes_parts_anew_that_are_not_as_they_were(tokenize: Any) -> None:
    records = [*documents("The cat", "sat", "on", "the mat"), {"id": "x"}]
    out = unfinished(tokenize, records)
    part = out / "token_ids_part_0002.npy"
    part.write_bytes(part.read_bytes()[:-2])
    (out / "token_ids_part_0007.npy").write_bytes(b"from another run")
    tokenize(records, part_tokens=2, resume=True)
    assert contents(out) == contents(tokenize(records, "whole", part_tokens=2)[0])


def test_files_that_changed_are_noticed_without_reading_them_whole(
    tokenize: Any, tmp_path: Path
) -> None:
    out, _ = tokenize([{"id": "a", "messages": conversation("sat")}], chat=True)
    opened = TokensDir.open(out)
    opened.check_contents()
    for name in ("labels_mask_part_0000.npy", "token_ids_part_0000.npy"):
        path = out / name
        whole = path.read_bytes()
        path.write_bytes(bytes([1]) + whole[1:])
        with pytest.raises(InputError, match=rf"{name}: changed since.*olmo-anchor tokenize"):
            opened.check_contents()
        path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_and_resume_gives_the_same_bytes(
    tmp_path: Path, tiny_tokenizer_file: Path, workers: int
) -> None:
    text = "The cat sat on the mat. The dog ran to the cat. " * 40
    lines = []
    for k in range(12_000):
        name = f"d{k - 1 if k % 500 == 499 else k}"  # now and then a duplicate
        lines.append("{\n" if k % 300 == 299 else json.dumps({"id": name, "text": text}) + "\n")
    path = tmp_path / "input.jsonl"
    path.write_text("".join(lines))

    def command(out: Path, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "olmo_anchor.cli", "tokenize", str(path), "--out", str(out)),
            *("--tokenizer", str(tiny_tokenizer_file), "--part-tokens", "200000"),
            *("--workers", str(workers), *more),
        ]

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole), check=True, capture_output=True)
    parts = len(list(whole.glob("*.npy")))
    assert parts > 10
    # Twice, at different points.
    for wanted in (parts // 4, parts // 2):
        more = ["--resume"] if killed.exists() else []
        process = subprocess.Popen(
            command(killed, *more), stderr=subprocess.DEVNULL, start_new_session=True
        )
        while len(list(killed.glob("token_ids*.npy"))) < wanted:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (killed / "manifest.json").exists()
    subprocess.run(command(killed, "--resume"), check=True, capture_output=True)
    assert contents(killed) == contents(whole)
    counts = [json.loads((f / "manifest.json").read_text())["counts"] for f in (killed, whole)]
    assert counts[0] == counts[1]
    assert counts[0]["rejected"] > 40
