"""The prompts file: JSONL, one prompt per line.

::

    {"id": "7", "prompt": "A story:"}                                   raw text, continued
    {"id": "8", "messages": [{"role": "user", "content": "A story."}]}  the chat template is applied
    {"id": "9", "prompt": "A story:", "prefill": "Once", "genre": "x"}  other fields are copied

A ``prefill`` begins the response; an annotation that the model writes first stands before it.
A prompt without an ``id`` has its line number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from olmo_anchor.chat import Message, encode_prompt
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["Prompt", "Unusable", "read_prompts"]


@dataclass(frozen=True)
class Prompt:
    """One line of a prompts file and its ids.

    :param text: the raw text or the messages, as they stand in the file.
    :param ids: what the model reads, before the prefill.
    :param fields: what else the line has.
    """

    id: str
    text: str | list[Message]
    ids: list[int]
    prefill_ids: list[int] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


class Unusable(NamedTuple):
    """A line that is no prompt, and why."""

    line: int
    reason: str


def read_prompts(
    path: Path, tokenizer: AnchorTokenizer, max_length: int
) -> tuple[list[Prompt], list[Unusable]]:
    """Read and encode the prompts, in order.

    :param max_length: tokens that the model takes; a prompt leaves room for one more at least.
    :raises InputError: when the file is missing, or has no usable prompt.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; prompts are JSONL, each line has `prompt` or `messages`"
        )
    prompts: list[Prompt] = []
    unusable: list[Unusable] = []
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                prompt = _encode(_parse(line, number), tokenizer)
                if prompt.id in seen:
                    raise ValueError(f"the id {prompt.id!r} stood in an earlier line")
                seen.add(prompt.id)
                _check_length(prompt, max_length)
            except ValueError as error:
                unusable.append(Unusable(number, str(error)))
            else:
                prompts.append(prompt)
    if not prompts:
        first = (
            f"line {unusable[0].line}: {unusable[0].reason}" if unusable else "the file is empty"
        )
        raise InputError(f"{path}: no usable prompt; {first}")
    return prompts, unusable


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    record.setdefault("id", str(number))
    if not isinstance(record["id"], str | int):
        raise ValueError("`id` is neither a string nor an integer")
    if ("prompt" in record) == ("messages" in record):
        raise ValueError("a prompt has either `prompt` or `messages`")
    for name in ("prompt", "prefill"):
        if name in record and not isinstance(record[name], str):
            raise ValueError(f"`{name}` is not a string")
    if "messages" in record:
        _check_messages(record["messages"])
    return record


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise ValueError("`messages` is not a list with something in it")
    for message in messages:
        if not isinstance(message, dict) or not all(
            isinstance(message.get(name), str) for name in ("role", "content")
        ):
            raise ValueError("a message is not an object with the strings `role` and `content`")
    if messages[-1]["role"] == "assistant":
        raise ValueError("the last message is the assistant's; begin its answer with `prefill`")


def _encode(record: dict[str, Any], tokenizer: AnchorTokenizer) -> Prompt:
    known = {"id", "prompt", "messages", "prefill"}
    text: Any = record["prompt"] if "prompt" in record else record["messages"]
    return Prompt(
        id=str(record["id"]),
        text=text,
        ids=tokenizer.encode(text) if isinstance(text, str) else encode_prompt(text, tokenizer),
        prefill_ids=tokenizer.encode(record.get("prefill", "")),
        fields={name: value for name, value in record.items() if name not in known},
    )


def _check_length(prompt: Prompt, max_length: int) -> None:
    length = len(prompt.ids) + len(prompt.prefill_ids)
    if not prompt.ids:
        raise ValueError("the prompt is empty: a model needs at least one token")
    if length >= max_length:
        raise ValueError(f"the prompt has {length} tokens, the model takes {max_length} in all")
