"""The story world on disk: the same files as any corpus, and the truth about them beside it.

documents.jsonl             {id, text}: pretraining
labels.jsonl                {id, chunk, labels}: what every story is about and how it is told
truth.jsonl                 {id, chunk, tags}: the true annotation of every story
conversations.jsonl         {id, messages}: the demo's SFT data
conversations_truth.jsonl   {id, chunk: 0, tags}
prompts_base.jsonl          {id, prompt, kind, topic, name}: requests laid out as in pretraining
prompts_chat.jsonl          {id, messages, kind, topic, name}: the same for an SFT model
schema.json                 the keys that an annotation may have
tokenizer.json              whole words
world.json                  the world file
manifest.json               last
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from olmo_anchor.manifest import (
    MANIFEST,
    FileRecord,
    Manifest,
    atomic_write,
    file_record,
    prepare_output,
    write_json,
)
from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.prompts import prompts
from olmo_anchor.study.world.stories import Document, Labels, Request, Story, StoryWorld
from olmo_anchor.study.world.tokenizer import build_tokenizer
from olmo_anchor.study.world.truth import truth_records

__all__ = [
    "CONVERSATIONS",
    "Conversations",
    "Labelled",
    "outputs",
    "write_about",
    "write_lines",
    "write_world",
]

CONVERSATIONS = 1_600
"""Of the demo's SFT data."""

Record = dict[str, Any]


class Conversations(Protocol):
    """What SFT data are drawn from."""

    def conversations(
        self, count: int, only: Mapping[str, Sequence[str]] | None = None
    ) -> Iterator[tuple[Request, Story]]: ...


@dataclass
class Labelled:
    """Records, and the labels of what was made into them so far."""

    labels: list[tuple[str, int, Labels]] = field(default_factory=list)

    def documents(self, drawn: Iterable[Document]) -> Iterator[Record]:
        for i, document in enumerate(drawn):
            name = f"doc-{i:06}"
            self.labels += ((name, chunk, story.labels) for chunk, story in document.chunks())
            yield {"id": name, "text": document.text}

    def conversations(self, drawn: Iterable[tuple[Request, Story]]) -> Iterator[Record]:
        for i, (request, story) in enumerate(drawn):
            name = f"sft-{i:05}"
            self.labels.append((name, 0, story.labels))
            answer = {"role": "assistant", "content": story.text}
            yield {"id": name, "messages": [_user(request), answer]}

    def records(self) -> Iterator[Record]:
        for name, chunk, labels in self.labels:
            yield {"id": name, "chunk": chunk, "labels": labels.record()}

    def truth(self, world: WorldFile) -> Iterator[Record]:
        return truth_records(self.records(), world.annotated, world.values)


def _user(request: Request) -> dict[str, str]:
    return {"role": "user", "content": request.text}


def write_lines(path: Path, records: Iterable[Record]) -> int:
    """JSON Lines, atomically; returns how many."""
    count = 0
    with atomic_write(path) as file:
        for record in records:
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def outputs(out: Path) -> list[FileRecord]:
    """All that lies in a folder, for its manifest."""
    files = sorted(out.glob("*.json*"))
    return [file_record(path, out) for path in files if path.name != MANIFEST]


def write_world(
    out: Path,
    world: WorldFile,
    seed: int,
    documents: int | None = None,
    *,
    source: Path | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write a world to the folder ``out``; equal arguments give equal bytes.

    :param documents: how many, in the place of the world's own number.
    :param source: the file that ``world`` was read from.
    :raises InputError: when ``out`` exists and holds something, without ``overwrite``.
    """
    prepare_output(out, overwrite=overwrite)
    drawn, pretraining, sft = StoryWorld(world, seed), Labelled(), Labelled()
    wanted = documents or world.corpus.documents
    told = pretraining.documents(drawn.documents(wanted))
    counts = {"documents": write_lines(out / "documents.jsonl", told)}
    counts["stories"] = write_lines(out / "labels.jsonl", pretraining.records())
    write_lines(out / "truth.jsonl", pretraining.truth(world))
    talks = sft.conversations(drawn.conversations(CONVERSATIONS))
    counts["conversations"] = write_lines(out / "conversations.jsonl", talks)
    write_lines(out / "conversations_truth.jsonl", sft.truth(world))
    counts["prompts"] = write_about(out, world)
    build_tokenizer(world).save(str(out / "tokenizer.json"))
    manifest = Manifest(
        kind="world",
        inputs=[] if source is None else [file_record(source)],
        config={"world": world.name, "seed": seed, "documents": wanted},
        counts=counts,
        outputs=outputs(out),
        seed=seed,
    )
    manifest.write(out)
    return manifest


def write_about(out: Path, world: WorldFile) -> int:
    """Write prompts, schema and world file; returns how many prompts."""
    # Annotated attributes first; the others may be annotated too (study truth --attributes).
    keys = [*world.annotated, *(name for name in world.attributes if name not in world.annotated)]
    write_json(out / "schema.json", {"name": world.name, "keys": keys})
    write_json(out / "world.json", world.stored)
    asked = list(prompts(world))
    named = dict.fromkeys(name for _, _, request in asked for name in request.named)
    about = [{"kind": kind, **{name: r.named.get(name) for name in named}} for _, kind, r in asked]
    write_lines(
        out / "prompts_base.jsonl",
        (
            {"id": name, "prompt": f"{request.text}\n\n", **rest}
            for (name, _, request), rest in zip(asked, about, strict=True)
        ),
    )
    return write_lines(
        out / "prompts_chat.jsonl",
        (
            {"id": name, "messages": [_user(request)], **rest}
            for (name, _, request), rest in zip(asked, about, strict=True)
        ),
    )
