"""The demo's comparison on a user's own documents and conversations.

Small models, annotated by the ``keyword`` annotator (no language model). Some conversations are
held out of the SFT: every model answers their requests several times, and the answers are compared
with one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.corpus.documents import BadRecord, parse_conversation
from olmo_anchor.corpus.jsonl import read_lines
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write
from olmo_anchor.study.demo.stages import Choices, Material
from olmo_anchor.study.pipeline.commands import REPOSITORY

__all__ = ["OWN_FILES", "own_files", "split_conversations"]

OWN_FILES = Choices("small", REPOSITORY / "evals" / "open_text.yaml")

HELD_OUT = 24
"""Conversations whose requests the models answer."""
SAMPLES = 8
"""Answers to each."""
MAX_LENGTH = 448
"""Tokens of a conversation: leaves room for its annotation in the recipe's sequences of 512."""


def own_files(root: Path, corpus: Path, sft: Path, tokenizer: str) -> Material:
    """The material of ``--corpus`` and ``--sft``; writes conversations and prompts to ``root``.

    :raises InputError: when a file is missing, or ``sft`` has too few conversations.
    """
    for path in (corpus, sft):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    conversations, *prompts = split_conversations(root, sft)
    annotate = ("--annotator", "keyword", "--workers", "2")
    return Material(
        documents=corpus.resolve(),
        conversations=conversations,
        tokenizer=tokenizer,
        annotate=(annotate, annotate),
        prompts=(prompts[0], prompts[1]),
        choices=OWN_FILES,
        sampling=("--num-samples", str(SAMPLES), "--max-tokens", "160"),
        # The bases are trained from nothing, on documents: they never saw a chat token.
        tokenize_chat=("--layout", "plain", "--max-length", str(MAX_LENGTH)),
    )


def split_conversations(root: Path, sft: Path) -> tuple[Path, Path, Path]:
    """Hold :data:`HELD_OUT` conversations out, chosen by a hash of their request.

    :returns: the paths of the conversations that are left, as they stand in ``sft``; of the
    held-out requests as raw prompts for base models; and of the same as messages for SFT models.
    :raises InputError: when fewer than ten times as many have a user turn.
    """
    asked: dict[str, str] = {}
    for _, line in read_lines(sft):
        if (request := _request(line)) is not None:
            asked.setdefault(hashlib.sha256(request.encode()).hexdigest(), request)
    if len(asked) < 10 * HELD_OUT:
        raise InputError(
            f"{sft}: has {len(asked)} different conversations with a user turn; the demo holds "
            f"{HELD_OUT} out and wants at least {10 * HELD_OUT}"
        )
    chosen = {asked[digest] for digest in sorted(asked)[:HELD_OUT]}
    # Lines that cannot be read stay: `tokenize` counts and keeps them.
    left = (line for _, line in read_lines(sft) if _request(line) not in chosen)
    requests = [request for request in asked.values() if request in chosen]
    return (
        _write(root / "sft_conversations.jsonl", left),
        _write(
            root / "prompts_base.jsonl",
            (_prompt(i, {"prompt": f"{text}\n\n"}) for i, text in enumerate(requests)),
        ),
        _write(
            root / "prompts_chat.jsonl",
            (
                _prompt(i, {"messages": [{"role": "user", "content": text}]})
                for i, text in enumerate(requests)
            ),
        ),
    )


def _request(raw: bytes) -> str | None:
    """The first user turn of a conversation; None where there is none."""
    try:
        messages = parse_conversation(raw).messages
    except BadRecord:
        return None
    return next((m["content"] for m in messages if m["role"] == "user"), None)


def _prompt(number: int, said: dict[str, Any]) -> bytes:
    return orjson.dumps({"id": f"request-{number:03}", **said, "kind": "open"})


def _write(path: Path, lines: Iterable[bytes]) -> Path:
    with atomic_write(path) as file:
        file.writelines(line.rstrip(b"\r\n") + b"\n" for line in lines)
    return path
