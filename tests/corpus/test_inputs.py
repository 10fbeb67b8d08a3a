"""``olmo-anchor tokenize`` from every kind of input, through the command that a user types."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

TEXTS = ["The cat", "sat on\r\nthe mat.", "The dog ran to the cat"]
TALK = [{"role": "user", "content": "The dog"}, {"role": "assistant", "content": "ran"}]


def tokenize(cwd: Path, tokenizer: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "olmo_anchor.cli", "tokenize", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(cwd / "hub")}
    return subprocess.run(
        [*command, "--tokenizer", str(tokenizer), "--out", "out"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=120,
    )


def refused(done: subprocess.CompletedProcess[str], cwd: Path) -> str:
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert not (cwd / "out").exists()
    return line


def written(folder: Path) -> tuple[bytes, list[str]]:
    """The token file, and the ids of its documents."""
    with gzip.open(folder / "token_ids_part_0000.csv.gz", "rt", newline="") as file:
        names = [row[2] for row in csv.reader(file)]
    return (folder / "token_ids_part_0000.npy").read_bytes(), names


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_file: Path) -> bytes:
    """The tokens of TEXTS, from JSONL."""
    folder = tmp_path_factory.mktemp("jsonl")
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    assert tokenize(folder, tiny_tokenizer_file, "a.jsonl").returncode == 0
    return written(folder / "out")[0]


def lines(texts: list[str], first: int = 0) -> bytes:
    shard = [
        # As a shard of Dolma has it.
        {"id": f"d{k}", "text": text, "source": "s", "added": "2024", "metadata": {"n": [1, None]}}
        for k, text in enumerate(texts, first)
    ]
    return b"".join(json.dumps(record).encode() + b"\n" for record in shard)


def test_a_folder_of_shards(tmp_path: Path, tiny_tokenizer_file: Path, wanted: bytes) -> None:
    tree = tmp_path / "dolma"
    (tree / "b").mkdir(parents=True)
    (tree / "a-0000.json.gz").write_bytes(gzip.compress(lines(TEXTS[:1])))
    (tree / "b" / "a-0000.json.zst").write_bytes(zstandard.compress(lines(TEXTS[1:2], 1)))
    pyarrow.parquet.write_table(
        pyarrow.table({"text": TEXTS[2:]}), tree / "b" / "train-00000.parquet"
    )
    # Not read: what is hidden, of another kind, or ours.
    (tree / ".cache").mkdir()
    for name in (".cache/x.jsonl", ".x.jsonl", "README.md", "state.json"):
        (tree / name).write_text("no")
    assert tokenize(tree, tiny_tokenizer_file, "a-0000.json.gz").returncode == 0
    (tree / "out" / "rejected.jsonl").write_text("no")

    done = tokenize(tmp_path, tiny_tokenizer_file, "dolma", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "out") == (wanted, ["d0", "d1", "b/train-00000/1"])


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.binary()])
def test_parquet(tmp_path: Path, tiny_tokenizer_file: Path, wanted: bytes, kind: Any) -> None:
    columns = {
        "id": pyarrow.array([7, 8, 9, 9, 10, 11]),
        "other": ["x"] * 6,
        "text": pyarrow.array([*TEXTS[:2], None, TEXTS[2], "", "again"], kind),
    }
    columns["id"] = pyarrow.array([7, 8, 6, 9, 10, 8])
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet", row_group_size=2)
    done = tokenize(tmp_path, tiny_tokenizer_file, "a.parquet")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "out") == (wanted, ["7", "8", "9"])
    rejected = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").open()]
    assert [(r["file"], r["line"], r["id"], r["reason"]) for r in rejected] == [
        ("a.parquet", 3, "6", "`text` is not a string"),
        ("a.parquet", 5, "10", "`text` is empty"),
        ("a.parquet", 6, "8", "duplicate id"),
    ]


def test_a_string_of_parquet_that_is_not_utf8_costs_its_row_alone(
    tmp_path: Path, tiny_tokenizer_file: Path, wanted: bytes
) -> None:
    raw = [text.encode() for text in TEXTS]
    binary = pyarrow.array([raw[0], b"caf\xe9", *raw[1:]], pyarrow.binary())
    unchecked = pyarrow.Array.from_buffers(pyarrow.string(), len(binary), binary.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"text": unchecked}), tmp_path / "a.parquet")
    done = tokenize(tmp_path, tiny_tokenizer_file, "a.parquet")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "out") == (wanted, ["a/1", "a/3", "a/4"])
    assert "(1): not valid UTF-8" in done.stdout


def test_conversations_in_parquet(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "a.jsonl").write_text(json.dumps({"id": "t", "messages": TALK}) + "\n")
    pyarrow.parquet.write_table(
        pyarrow.table({"id": ["t"], "messages": [TALK]}), tmp_path / "a.parquet"
    )
    assert tokenize(tmp_path / "j", tiny_tokenizer_file, "a.jsonl", "--chat").returncode == 0
    done = tokenize(tmp_path, tiny_tokenizer_file, "a.parquet", "--chat")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "out") == written(tmp_path / "j" / "out")
    (tmp_path / "out").rename(tmp_path / "done")
    done = tokenize(tmp_path, tiny_tokenizer_file, "a.parquet")
    assert "no `text`" in refused(done, tmp_path)
    assert "give --chat" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PAR1 and no more", "cannot be read"),
        (b"", "cannot be read"),
        (pyarrow.table({"body": ["x"]}), "no column `text` or `messages`; the columns are body"),
        (pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), "is empty"),
        (pyarrow.table({"text": [1, 2]}), "`text` is not a string (int)"),
    ],
)
def test_parquet_that_will_not_do(
    tmp_path: Path, tiny_tokenizer_file: Path, content: Any, words: str
) -> None:
    path = tmp_path / "a.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pyarrow.parquet.write_table(content, path)
    line = refused(tokenize(tmp_path, tiny_tokenizer_file, "a.parquet"), tmp_path)
    assert "a.parquet" in line
    assert words in line


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A folder ``datasets`` takes for the data set owner/name, as there is no hub in a test."""
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(lines(TEXTS))
    return folder


@pytest.mark.slow
def test_a_data_set_of_the_hub(
    tmp_path: Path, hub: Path, tiny_tokenizer_file: Path, wanted: bytes
) -> None:
    spec = "hf://datasets/owner/name:train"
    done = tokenize(tmp_path, tiny_tokenizer_file, spec)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "out") == (wanted, ["d0", "d1", "d2"])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["inputs"][0]["path"] == spec
    assert tokenize(tmp_path, tiny_tokenizer_file, spec, "--resume").returncode == 0
    # Another revision of it is another input.
    (hub / "train.jsonl").write_bytes(lines([*TEXTS, "more"]))
    done = tokenize(tmp_path, tiny_tokenizer_file, spec, "--resume")
    assert done.returncode == 2
    assert "other settings or inputs (inputs)" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("hf://datasets/owner/name:test", "test"),
        ("hf://datasets/owner/absent:train", "cannot be read"),
        ("hf://datasets/owner/name/config:train", "config"),
        ("hf://datasets/owner/name", "not of the form hf://datasets/NAME[/CONFIG]:SPLIT"),
        ("hf://owner/name:train", "not of the form"),
    ],
)
def test_a_data_set_that_is_not_there(
    tmp_path: Path, hub: Path, tiny_tokenizer_file: Path, spec: str, words: str
) -> None:
    line = refused(tokenize(tmp_path, tiny_tokenizer_file, spec), tmp_path)
    assert spec in line
    assert words in line
