"""Reading records: files of three kinds, line numbers, and why a record cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from olmo_anchor.corpus.documents import (
    BadRecord,
    check_input,
    parse_conversation,
    parse_document,
    read_records,
    stem,
)
from olmo_anchor.errors import InputError

LINES = b'{"id": "a", "text": "one"}\n\n  \n{"id": "b", "text": "two"}\r\n{"id": "c", "text": "3"}'


def write(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.compress(content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, LINES)
    assert [(r.line, parse_document(r.raw).id) for r in read_records(path)] == [
        (1, "a"),
        (4, "b"),
        (5, "c"),
    ]
    assert check_input(path, chat=False) == 3
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
    assert next(read_records(path)).raw == LINES.splitlines()[0]


def test_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + LINES)
    assert parse_document(next(read_records(path)).raw).id == "a"


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_that_was_cut_short_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, LINES * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"{name}: ends in the middle"):
        list(read_records(path))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_that_is_not_compressed_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LINES)
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        list(read_records(path))


def test_crlf_is_read_as_lf_and_counted() -> None:
    document = parse_document(b'{"text": "a\\r\\n\\r\\nb\\rc\\nd"}')
    assert (document.text, document.crlf) == ("a\n\nb\rc\nd", 2)
    messages = [{"role": "user", "content": "a\r\nb"}, {"role": "assistant", "content": "\r\n"}]
    conversation = parse_conversation(json.dumps({"messages": messages}).encode())
    assert conversation.crlf == 2
    assert [m["content"] for m in conversation.messages] == ["a\nb", "\n"]


def test_whole_numbers_are_ids() -> None:
    assert parse_document(b'{"id": 7, "text": "x"}').id == "7"
    assert parse_document(b'{"id": "", "text": "x"}').id is None
    assert parse_document(b'{"id": null, "text": "x"}').id is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not JSON"),
        (b'{"text": NaN}', "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b'{"text": "\xff"}', "not valid UTF-8"),
        (b'{"text": "\xed\xa0\x80"}', "not valid UTF-8"),
        (b'{"text": "\\ud800"}', "a lone surrogate"),
        (b'{"text": "\\udc00x"}', "a lone surrogate"),
        (b'{"text": "\\ud800\\u0041"}', "a lone surrogate"),
        (b'["text"]', "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"id": "a", "body": "x"}', "no `text`"),
        (b'{"text": 3}', "`text` is not a string"),
        (b'{"text": null}', "`text` is not a string"),
        (b'{"text": ""}', "`text` is empty"),
        (b'{"id": 1.5, "text": "x"}', "`id` is neither a string nor a whole number"),
        (b'{"id": true, "text": "x"}', "`id` is neither a string nor a whole number"),
        (b'{"id": "a\\nb", "text": "x"}', "`id` holds a line break"),
    ],
)
def test_bad_document(raw: bytes, reason: str) -> None:
    with pytest.raises(BadRecord) as caught:
        parse_document(raw)
    assert caught.value.reason == reason


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("hi", "`messages` is not a list"),
        ([], "no assistant turn"),
        (["hi"], "a message is not an object"),
        ([USER], "no assistant turn"),
        ([{"role": "assistant", "content": "x"}, USER], "does not end with the assistant's turn"),
        ([USER, {"role": "tool", "content": "x"}], "a role is not one of system, user, assistant"),
        ([USER, {"content": "x"}], "a role is not one of system, user, assistant"),
        ([{"role": ["user"], "content": "x"}], "a role is not one of system, user, assistant"),
        ([USER, {"role": "assistant"}], "a message's `content` is not a string"),
        ([USER, {"role": "assistant", "content": None}], "a message's `content` is not a string"),
        ([USER, {"role": "assistant", "content": ""}], "the final response is empty"),
    ],
)
def test_bad_conversation(messages: Any, reason: str) -> None:
    with pytest.raises(BadRecord) as caught:
        parse_conversation(json.dumps({"id": "c", "messages": messages}).encode())
    assert (caught.value.reason, caught.value.name) == (reason, "c")


def test_a_document_among_conversations() -> None:
    with pytest.raises(BadRecord, match="no `messages`"):
        parse_conversation(b'{"id": "a", "text": "x"}')


def test_input_of_the_other_kind_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"messages": [{"role": "assistant", "content": "x"}]}\n')
    with pytest.raises(InputError, match=r"none of its 1 records .* line 1: no `text`.* --chat"):
        check_input(path, chat=False)
    path.write_bytes(LINES)
    with pytest.raises(InputError, match="leave out --chat"):
        check_input(path, chat=True)
