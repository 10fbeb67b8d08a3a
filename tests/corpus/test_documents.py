"""What a record is, and why it cannot be used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from olmo_anchor.corpus.documents import BadRecord, parse_conversation, parse_document


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
