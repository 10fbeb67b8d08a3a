"""The commands as they are typed: what they end with, what they say, what they leave untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from olmo_anchor.tokenizer import AnchorTokenizer

RECORD = {"part": 0, "doc": 0, "chunk": 0, "tags": [["topic", "cat"]]}


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "olmo_anchor.cli", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def refused(arguments: Sequence[Any], *said: str) -> None:
    """Exit code 2, one line, no traceback."""
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    for part in said:
        assert part in done.stderr


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def tokens(write_tokens: Any, tiny: AnchorTokenizer) -> Path:
    end = tiny.control.end_of_text
    texts = ["The cat.\n\nThe mat.", "The dog."]
    made: Path = write_tokens([[[*tiny.encode(text), end] for text in texts]])
    return made


@pytest.mark.slow
def test_from_annotations_to_a_page(
    tokens: Path, tmp_path: Path, tiny: AnchorTokenizer, write_tokens: Any
) -> None:
    mine = tmp_path / "mine.jsonl"
    one = {"id": "doc-0-0", "chunk": 1, "tags": [["topic", "mat"]]}
    mine.write_bytes(orjson.dumps(one) + b"\n" + orjson.dumps({**one, "chunk": 9}))
    annotations, overlay, stock = (tmp_path / name for name in ("annotations", "overlay", "stock"))
    source = ("--annotator", "file", "--annotations", mine)
    for arguments, said in [
        (("annotate", tokens, *source, "--out", annotations, "--dry-run"), "no annotation"),
        (
            ("annotate", tokens, *source, "--out", annotations),
            "1 of 3 chunks annotated, 2 without an annotation\n"
            f"rejected: 1 of 2 records (50.0%), most often (1): there is no such chunk; "
            f"see {annotations}/rejected.jsonl\nnext: olmo-anchor overlay {tokens} {annotations} ",
        ),
        (
            ("overlay", tokens, annotations, "--out", overlay),
            "1 annotations on 33.3% of 3 chunks, 35.0% of all tokens, encoded with tokenizers "
            f"{version('tokenizers')}\nrejected: none of 1 records\nnext: olmo-anchor inspect ",
        ),
        (("inspect", tokens, "--overlay", overlay, "--tokens"), "doc-0-1"),
        (("inspect", tokens, "--overlay", overlay, "--html", tmp_path / "look.html"), ""),
        (
            ("materialise", tokens, "--overlay", overlay, "--out", stock),
            "100.0% of them trained under policy full; 0 documents without a trained token\n"
            f"next: torchrun --nproc-per-node=N train_configs/NAME.py --tokens {stock} "
            "--save-folder RUN\n",
        ),
        (("inspect", stock, "--docs", 1), "annotations in the token files"),
    ]:
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    assert "doc-0-0" in (tmp_path / "look.html").read_text()
    before = snapshot(tmp_path)
    for arguments in (
        ("annotate", tokens, *source, "--out", annotations),
        ("overlay", tokens, annotations, "--out", overlay),
        ("materialise", tokens, "--overlay", overlay, "--out", stock),
    ):
        refused(arguments, "not empty", "--resume", "--overwrite")
    for arguments in (
        ("overlay", stock, annotations, "--out", tmp_path / "new"),
        ("annotate", stock, *source, "--out", tmp_path / "new"),
        ("inspect", stock, "--overlay", overlay),
        ("materialise", stock, "--overlay", overlay, "--out", tmp_path / "new"),
    ):
        refused(arguments, f"{stock}: has its annotations in it already: it was materialised from")
    refused(("inspect", stock, "--overlay", overlay), f"leave {overlay} out")
    refused(("overlay", stock, annotations, "--out", tmp_path / "new"), f"name {tokens}\n")
    other = write_tokens(
        [[[*tiny.encode("The mat."), tiny.control.end_of_text]]], folder=tmp_path / "x"
    )
    for arguments in (
        ("inspect", other, "--overlay", overlay),
        ("materialise", other, "--overlay", overlay, "--out", tmp_path / "new"),
    ):
        refused(arguments, "belongs to another token file", "olmo-anchor overlay")
    assert not (tmp_path / "new").exists()
    assert {k: v for k, v in snapshot(tmp_path).items() if not k.startswith("x/")} == before


@pytest.mark.slow
@pytest.mark.parametrize("command", ["overlay", "inspect", "annotate"])
def test_a_broken_tokens_folder_is_told_in_one_line(
    tokens: Path, write_annotations: Any, tmp_path: Path, command: str
) -> None:
    annotations = write_annotations([RECORD])
    arguments: tuple[Any, ...] = {
        "overlay": ("overlay", tokens, annotations, "--out", tmp_path / "out"),
        "inspect": ("inspect", tokens),
        "annotate": ("annotate", tokens, "--annotator", "keyword", "--out", tmp_path / "out"),
    }[command]
    ids, manifest = tokens / "token_ids_part_0000.npy", tokens / "manifest.json"
    whole, stored = ids.read_bytes(), manifest.read_bytes()

    ids.write_bytes(whole[:-1])
    refused(arguments, "token_ids_part_0000.npy", "not a multiple of 2")
    ids.write_bytes(whole[:-2])
    refused(arguments, "the manifest says", f"make {tokens} again with: olmo-anchor tokenize")
    ids.write_bytes(whole[1:] + whole[:1])
    refused(arguments, "token_ids_part_0000.npy: changed since", "olmo-anchor tokenize")
    ids.unlink()
    refused(arguments, "token_ids_part_0000.npy: missing")
    ids.write_bytes(whole)
    manifest.write_bytes(stored[: len(stored) // 2])
    refused(arguments, "manifest.json", "not a whole manifest", "olmo-anchor tokenize")
    manifest.unlink()
    refused(arguments, "unfinished", "olmo-anchor tokenize")
    manifest.write_bytes(stored)
    (tokens / "tokenizer" / "tokenizer.json").write_text("{}")
    refused(arguments, "tokenizer.json")
    assert not (tmp_path / "out").exists()


def test_a_file_where_a_folder_belongs_is_told_with_the_command(
    tokens: Path, write_annotations: Any, tmp_path: Path
) -> None:
    documents, ids = tmp_path / "documents.jsonl", tokens / "token_ids_part_0000.npy"
    documents.write_text('{"text": "The cat."}\n')
    out = ("--out", tmp_path / "out")
    refused(
        ("annotate", documents, "--annotator", "keyword", *out),
        f"documents.jsonl: is a file, not a folder of tokens; make one with: olmo-anchor tokenize "
        f"{documents} --tokenizer TOKENIZER --out TOKENS_DIR",
    )
    refused(("inspect", ids), "is a file", f"olmo-anchor adopt {ids} --tokenizer TOKENIZER")
    records = write_annotations([RECORD]) / "annotations.jsonl"
    refused(("overlay", tokens, records, *out), "annotations.jsonl: is a file, not a folder")


def test_a_wrong_schema_is_told_in_one_line(
    tokens: Path, write_annotations: Any, tmp_path: Path
) -> None:
    annotations, schema = write_annotations([RECORD]), tmp_path / "schema.yaml"
    arguments = ("overlay", tokens, annotations, "--out", tmp_path / "out", "--schema", schema)
    for text, said in [
        ("keys: [topic\n", "cannot be read as YAML"),
        ("- topic\n", "a list `keys`"),
        ("keys: [Topic]\n", "'Topic'"),
        ("keys: [topic]\nmost: 3\n", "has no 'most'"),
    ]:
        schema.write_text(text)
        refused(arguments, "schema.yaml", said)
    schema.unlink()
    refused(arguments, "schema.yaml")


def test_memory_does_not_grow_with_the_corpus(
    write_tokens: Any, tiny: AnchorTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmo_anchor.corpus.tokens import TokensDir

    end = tiny.control.end_of_text
    folder = write_tokens([[[10, 11, 12, end]] * 50])
    part = TokensDir.open(folder).parts[0]
    blocks = list(part.blocks(block_tokens=16))
    assert {len(block) for block in blocks} == {4, 2}
    assert [block.first for block in blocks] == list(range(0, 50, 4))
    assert np.concatenate([block.ids for block in blocks]).tolist() == [10, 11, 12, end] * 50
    later = list(part.blocks(33, block_tokens=16))
    assert later[0].first == 33
    assert sum(map(len, later)) == 17
