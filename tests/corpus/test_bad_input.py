"""Bad input to ``olmo-anchor tokenize``, as a user meets it: one line, exit code 2, no harm."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = '{"id": "good", "text": "The cat sat."}\n'


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "olmo_anchor.cli", "tokenize", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["no such file"]),
        (b"", ["is empty"]),
        (b"\n \n", ["is empty"]),
        (b"Once upon a time\nthere was\n", ["line 1", "not JSON"]),
        (b'{"body": "x"}\n', ["line 1", "no `text`", "body"]),
        (b'{"text": 3}\n', ["`text` is not a string"]),
        (b'{"text": "caf\xe9"}\n', ["not valid UTF-8"]),
        (b'{"text": "\\ud83d"}\n', ["a lone surrogate"]),
        (b'{"text": ""}\n', ["`text` is empty"]),
        (b'{"messages": []}\n', ["no `text`"]),
    ],
)
def test_a_file_without_a_usable_record(
    tmp_path: Path, tiny_tokenizer_file: Path, content: bytes | None, words: list[str]
) -> None:
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    if content is not None:
        path.write_bytes(content)
    good = tmp_path / "good.jsonl"
    good.write_text(GOOD)
    done = run(good, path, "--tokenizer", tiny_tokenizer_file, "--out", out)
    assert_refused(done, str(path), *words)
    assert not out.exists()


def test_a_pipe_and_a_folder(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    pipe, out = tmp_path / "pipe.jsonl", tmp_path / "out"
    os.mkfifo(pipe)
    assert_refused(run(pipe, "--tokenizer", tiny_tokenizer_file, "--out", out), "is a pipe")
    # Nor in a folder, where it is not passed over.
    done = run(tmp_path, "--tokenizer", tiny_tokenizer_file, "--out", out)
    assert_refused(done, "pipe.jsonl: is a pipe")
    (tmp_path / "empty").mkdir()
    done = run(tmp_path / "empty", "--tokenizer", tiny_tokenizer_file, "--out", out)
    assert_refused(done, "is a folder without files to read")
    assert not out.exists()


def test_truncated_gzip(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    path, out = tmp_path / "input.jsonl.gz", tmp_path / "out"
    texts = "".join(json.dumps({"text": f"{k * k} cats"}) + "\n" for k in range(5000))
    path.write_bytes(gzip.compress(texts.encode())[:-2000])
    done = run(path, "--tokenizer", tiny_tokenizer_file, "--out", out)
    assert_refused(done, str(path), "ends in the middle")
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["not a tokenizer.json"]),
        ('{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}', ["<|extra_id_1|>"]),
    ],
)
def test_a_tokenizer_that_will_not_do(tmp_path: Path, content: str, words: list[str]) -> None:
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    path.write_text(GOOD)
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(content)
    done = run(path, "--tokenizer", tokenizer, "--out", out)
    assert_refused(done, str(tokenizer), *words)
    assert not out.exists()


def test_a_tokenizer_that_is_missing(tmp_path: Path) -> None:
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    path.write_text(GOOD)
    done = run(path, "--tokenizer", tmp_path / "none" / "tokenizer.json", "--out", out)
    assert_refused(done, "none/tokenizer.json", "no such file")
    assert not out.exists()


def test_max_length_without_chat(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    path.write_text(GOOD)
    done = run(path, "--tokenizer", tiny_tokenizer_file, "--out", out, "--max-length", "9")
    assert_refused(done, "--chat")


def test_an_output_folder_that_exists(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    path.write_text(GOOD)
    arguments = (path, "--tokenizer", tiny_tokenizer_file, "--out", out)
    assert run(*arguments).returncode == 0
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert_refused(run(*arguments), str(out), "--overwrite", "--resume")
    # Neither does a bad input with --overwrite cost what was there.
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{")
    done = run(broken, *arguments[1:], "--overwrite")
    assert_refused(done, str(broken))
    assert before == {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert run(*arguments, "--overwrite").returncode == 0


def test_an_input_inside_the_output_folder(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    path = tmp_path / "out" / "input.jsonl"
    path.parent.mkdir()
    path.write_text(GOOD)
    arguments = (path, "--tokenizer", tiny_tokenizer_file, "--out", path.parent, "--overwrite")
    assert_refused(run(*arguments), str(path), "inside the output folder")
    assert path.read_text() == GOOD


def test_one_bad_record_among_good_ones(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    path.write_bytes(b'{"text": "The cat."}\n{"text": "\xff"}\n{"id": "x", "text": "The dog."}\n')
    done = run(path, "--tokenizer", tiny_tokenizer_file, "--out", out)
    assert done.returncode == 0, done.stderr
    said = "rejected: 1 of 3 records (33.3%), most often (1): not valid UTF-8; see "
    assert f"{said}{out}/rejected.jsonl\n" in done.stdout
    assert json.loads((out / "manifest.json").read_text())["counts"]["rejected"] == 1
    assert [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()] == [
        {"reason": "not valid UTF-8", "file": str(path), "line": 2}
    ]


def test_too_many_bad_records_fail_and_are_kept_for_reading(
    tmp_path: Path, tiny_tokenizer_file: Path
) -> None:
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    path.write_text(GOOD + "{\n" * 12)
    arguments = (path, "--tokenizer", tiny_tokenizer_file, "--out", out)
    done = run(*arguments)
    assert done.returncode == 1
    assert "12 of 13 records" in done.stderr
    assert "not JSON" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (out / "manifest.json").exists()
    assert len((out / "rejected.jsonl").read_text().splitlines()) == 12
    cure = done.stderr.split("let them go with ")[1].split()
    done = run(*arguments, *cure)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_document_of_50_megabytes(tmp_path: Path, shared_data: Path) -> None:
    tokenizer = shared_data / "tokenizer" / "allenai_dolma2.json"
    with (shared_data / "corpus" / "books.jsonl").open() as file:
        books = "\n\n".join(json.loads(line)["text"] for line in file)
    text = (books * 2).encode()[:50_000_000].decode("utf-8", "ignore")
    path, out = tmp_path / "input.jsonl", tmp_path / "out"
    path.write_text(json.dumps({"id": "long", "text": text}) + "\n" + GOOD)
    done = run(path, "--tokenizer", tokenizer, "--out", out)
    assert done.returncode == 0, done.stderr
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts["documents"] == 2
    assert counts["tokens"] > 10_000_000
