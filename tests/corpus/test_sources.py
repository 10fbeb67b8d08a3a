"""Reading inputs: line numbers, rows, and what is wrong with a file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from olmo_anchor.corpus.documents import Record, parse_document
from olmo_anchor.corpus.jsonl import JsonlFile
from olmo_anchor.corpus.sources import check_source, stem
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import file_record

LINES = b'{"id": "a", "text": "one"}\n\n  \n{"id": "b", "text": "two"}\r\n{"id": "c", "text": "3"}'


def write(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.compress(content)
    path.write_bytes(content)
    return path


def read_records(path: Path) -> list[Record]:
    return [record for batch in JsonlFile(path, stem(path)).batches() for record in batch]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, LINES)
    assert [(r.line, parse_document(r.raw).id) for r in read_records(path)] == [
        (1, "a"),
        (4, "b"),
        (5, "c"),
    ]
    assert check_source(JsonlFile(path, "a"), chat=False) == (file_record(path), 5)
    assert stem(path) == "a"


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_lines_longer_than_a_block(tmp_path: Path, name: str) -> None:
    texts = ["x" * size for size in (1, 1 << 20, 3_500_000, 7, (1 << 20) - 13)]
    lines = "\n".join(json.dumps({"text": text}) for text in texts)
    path = write(tmp_path / name, lines.encode())
    assert [parse_document(r.raw).text for r in read_records(path)] == texts


def test_zstd_of_several_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"".join(zstandard.compress(LINES[k : k + 9]) for k in range(0, 99, 9)))
    assert [r.line for r in read_records(path)] == [1, 4, 5]
    assert read_records(path)[0].raw == LINES.splitlines()[0]


def test_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + LINES)
    assert parse_document(read_records(path)[0].raw).id == "a"


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_that_was_cut_short_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, LINES * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"{name}: ends in the middle"):
        read_records(path)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_that_is_not_compressed_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LINES)
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        read_records(path)


def test_input_of_the_other_kind_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"messages": [{"role": "assistant", "content": "x"}]}\n')
    with pytest.raises(InputError, match=r"none of its 1 records .* line 1: no `text`.* --chat"):
        check_source(JsonlFile(path, "a"), chat=False)
    path.write_bytes(LINES)
    with pytest.raises(InputError, match="leave out --chat"):
        check_source(JsonlFile(path, "a"), chat=True)
