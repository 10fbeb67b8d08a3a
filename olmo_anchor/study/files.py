"""The story world on disk: the same files as any corpus, and the truth about them beside it.

documents.jsonl             {id, text}: pretraining
truth.jsonl                 {id, chunk, tags}: the true annotation of every story
conversations.jsonl         {id, messages}: SFT
conversations_truth.jsonl   {id, chunk: 0, tags}
prompts_base.jsonl          {id, prompt, kind, topic}: requests laid out as in pretraining
prompts_chat.jsonl          {id, messages, kind, topic}: the same requests for an SFT model
tokenizer.json              whole words
world.json                  every label and phrase
manifest.json               last
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.manifest import Manifest, atomic_write, file_record, prepare_output, write_json
from olmo_anchor.study import wording
from olmo_anchor.study.words import build_tokenizer
from olmo_anchor.study.world import Request, StoryWorld, WorldConfig

__all__ = ["OPEN_SAMPLES", "prompts", "write_world"]

OPEN_SAMPLES = 600
"""Open requests per model: what its entropy is measured on."""
INSIDE_SAMPLES = 30
"""Requests for each of the SFT topics."""
OUTSIDE_SAMPLES = 6
"""Requests for each other topic."""

Record = dict[str, Any]


def prompts() -> Iterator[tuple[str, str, Request]]:
    """Yield (id, kind, request); one record per sample, so that every model answers the same list.

    Kinds: ``open`` names nothing; ``inside`` names a topic of the SFT data, ``outside`` any other.
    """
    for i in range(OPEN_SAMPLES):
        yield f"open-{i:03}", "open", Request(wording.VERBS[i % len(wording.VERBS)])
    for topic in wording.TOPICS:
        inside = topic in wording.SFT_TOPICS
        kind, samples = ("inside", INSIDE_SAMPLES) if inside else ("outside", OUTSIDE_SAMPLES)
        for i in range(samples):
            verb = wording.VERBS[i % len(wording.VERBS)]
            yield f"{kind}-{topic.replace(' ', '_')}-{i:02}", kind, Request(verb, topic=topic)


def _documents(world: StoryWorld) -> Iterator[tuple[Record, list[Record]]]:
    for i, document in enumerate(world.documents()):
        name = f"doc-{i:06}"
        truth = [{"id": name, "chunk": chunk, "tags": tags} for chunk, tags in document.truth()]
        yield {"id": name, "text": document.text}, truth


def _conversations(world: StoryWorld) -> Iterator[tuple[Record, list[Record]]]:
    for i, (request, story) in enumerate(world.conversations()):
        name = f"sft-{i:05}"
        yield (
            {"id": name, "messages": [_user(request), _turn("assistant", story.text)]},
            [{"id": name, "chunk": 0, "tags": story.labels.tags()}],
        )


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _user(request: Request) -> dict[str, str]:
    return _turn("user", request.text)


def _write_lines(path: Path, records: Iterable[Record]) -> int:
    count = 0
    with atomic_write(path) as file:
        for record in records:
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _write_pair(
    path: Path, truth_path: Path, pairs: Iterable[tuple[Record, list[Record]]]
) -> tuple[int, int]:
    truths: list[Record] = []

    def records() -> Iterator[Record]:
        for record, truth in pairs:
            truths.extend(truth)
            yield record

    return _write_lines(path, records()), _write_lines(truth_path, truths)


def write_world(out: Path, config: WorldConfig, *, overwrite: bool = False) -> Manifest:
    """Write the world to the folder ``out``; equal configs give equal bytes.

    :raises InputError: when ``out`` exists and holds something, without ``overwrite``.
    """
    prepare_output(out, overwrite=overwrite)
    world = StoryWorld(config)
    documents, stories = _write_pair(
        out / "documents.jsonl", out / "truth.jsonl", _documents(world)
    )
    conversations, _ = _write_pair(
        out / "conversations.jsonl", out / "conversations_truth.jsonl", _conversations(world)
    )
    asked = list(prompts())
    _write_lines(
        out / "prompts_base.jsonl",
        (
            {"id": name, "prompt": f"{r.text}\n\n", "kind": kind, "topic": r.topic}
            for name, kind, r in asked
        ),
    )
    _write_lines(
        out / "prompts_chat.jsonl",
        (
            {"id": name, "messages": [_user(r)], "kind": kind, "topic": r.topic}
            for name, kind, r in asked
        ),
    )
    write_json(out / "schema.json", {"name": "story_world", "keys": ["topic", "name"]})
    build_tokenizer().save(str(out / "tokenizer.json"))
    write_json(
        out / "world.json",
        {
            "topics": wording.TOPICS,
            "names": wording.NAMES,
            "places": wording.PLACES,
            "personas": wording.PERSONAS,
            "requests": wording.VERBS,
            "sft": {"topics": config.sft_topics, "persona": config.sft_persona},
        },
    )
    manifest = Manifest(
        kind="world",
        inputs=[],
        config=asdict(config),
        counts={
            "documents": documents,
            "stories": stories,
            "conversations": conversations,
            "prompts": len(asked),
        },
        outputs=[
            file_record(path, out)
            for path in sorted(out.glob("*.json*"))
            if path.name != "manifest.json"
        ],
        seed=config.seed,
    )
    manifest.write(out)
    return manifest
