"""The demo's comparison on a user's own documents and conversations.

Small models, annotated by the ``keyword`` annotator (no language model). Requests are the first
user turns of the conversations; a judge without truth labels each answer with its own leading
keyphrase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.judge import Verdict
from olmo_anchor.manifest import atomic_write
from olmo_anchor.study.stages import REPOSITORY, Material

__all__ = ["keywords", "own_files", "write_requests"]

REQUESTS = 50
"""Different requests that each model answers."""
SAMPLES = 6
"""Answers to each."""


def own_files(root: Path, corpus: Path, sft: Path, tokenizer: str) -> Material:
    """The material of ``--corpus`` and ``--sft``; writes the requests to ``root``.

    :raises InputError: when a file is missing, or ``sft`` has no conversation.
    """
    for path in (corpus, sft):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    annotate = ("--annotator", "keyword")
    return Material(
        documents=corpus.resolve(),
        conversations=sft.resolve(),
        tokenizer=tokenizer,
        annotate=(annotate, annotate),
        prompts=write_requests(root, sft),
        recipes="small",
        suite=REPOSITORY / "evals" / "own_files.yaml",
        sampling=("--num-samples", str(SAMPLES), "--max-tokens", "160"),
        tokenize_chat=("--max-length", "192"),
    )


def write_requests(root: Path, sft: Path) -> tuple[Path, Path]:
    """Write the first user turns as raw prompts for bases, and as messages for SFT models."""
    from olmo_anchor.corpus.documents import BadRecord, parse_conversation, read_records

    asked: dict[str, None] = {}
    for line in read_records(sft):
        try:
            messages = parse_conversation(line.raw).messages
        except BadRecord:
            continue  # `tokenize` counts and keeps what cannot be used
        for text in [m["content"] for m in messages if m["role"] == "user"][:1]:
            asked.setdefault(text)
        if len(asked) == REQUESTS:
            break
    if not asked:
        raise InputError(f'{sft}: no conversation: a line is {{"id", "messages": [...]}}')
    paths = root / "prompts_base.jsonl", root / "prompts_chat.jsonl"
    for path, chat in zip(paths, (False, True), strict=True):
        with atomic_write(path) as file:
            for i, text in enumerate(asked):
                said: dict[str, Any] = {"prompt": f"{text}\n\n"}
                if chat:
                    said = {"messages": [{"role": "user", "content": text}]}
                record = {"id": f"request-{i:03}", **said, "kind": "open"}
                file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    return paths


class _Keywords:
    """Labels an answer with the first keyphrase, the language and the sentiment that it shows.

    An answer without a keyphrase is not valid. There is no style to look for.
    """

    name = "keywords"
    values: Mapping[str, Sequence[str]] = {"topic": (), "language": (), "sentiment": ()}

    def __call__(self, response: str) -> Verdict:
        from olmo_anchor.annotate.base import Chunk
        from olmo_anchor.annotate.keyword import KeywordAnnotator
        from olmo_anchor.annotation import Annotation

        chunk = Chunk(part=0, doc=0, id=None, chunk=0, text=response, context=response)
        (found,) = KeywordAnnotator().annotate([chunk])
        assert isinstance(found, Annotation)
        labels = {what: next(iter(found.get(what)), None) for what in self.values}
        valid = labels["topic"] is not None
        reasons = {} if valid else {"valid": "no keyphrase"}
        return Verdict(labels, valid, styled=False, reasons=reasons)


keywords = _Keywords()
