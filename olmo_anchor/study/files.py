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

SFT data with other values are a folder of their own: conversations.jsonl, labels.jsonl and
manifest.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import (
    MANIFEST,
    Manifest,
    atomic_write,
    file_record,
    prepare_output,
    read_manifest,
    write_json,
)
from olmo_anchor.study.prompts import prompts
from olmo_anchor.study.truth import truth_records
from olmo_anchor.study.words import build_tokenizer
from olmo_anchor.study.world import Labels, Request, StoryWorld
from olmo_anchor.study.world_file import WorldFile, read_world

__all__ = [
    "CONVERSATIONS",
    "select",
    "world_of",
    "write_conversations",
    "write_lines",
    "write_world",
]

CONVERSATIONS = 1_600
"""Of the demo's SFT data."""

Record = dict[str, Any]


@dataclass
class _Labelled:
    """Records of a world, and the labels of what was written of them so far."""

    world: StoryWorld
    labels: list[tuple[str, int, Labels]] = field(default_factory=list)

    def documents(self, count: int) -> Iterator[Record]:
        for i, document in enumerate(self.world.documents(count)):
            name = f"doc-{i:06}"
            self.labels += ((name, chunk, story.labels) for chunk, story in document.chunks())
            yield {"id": name, "text": document.text}

    def conversations(
        self, count: int, only: Mapping[str, Sequence[str]] | None = None
    ) -> Iterator[Record]:
        for i, (request, story) in enumerate(self.world.conversations(count, only)):
            name = f"sft-{i:05}"
            self.labels.append((name, 0, story.labels))
            answer = {"role": "assistant", "content": story.text}
            yield {"id": name, "messages": [_user(request), answer]}

    def records(self) -> Iterator[Record]:
        for name, chunk, labels in self.labels:
            yield {"id": name, "chunk": chunk, "labels": labels.record()}

    def truth(self) -> Iterator[Record]:
        return truth_records(self.records(), self.world.file.annotated, self.world.file.values)


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


def _outputs(out: Path) -> list[Record]:
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
    pretraining, sft = _Labelled(StoryWorld(world, seed)), _Labelled(StoryWorld(world, seed))
    wanted = documents or world.corpus.documents
    counts = {"documents": write_lines(out / "documents.jsonl", pretraining.documents(wanted))}
    counts["stories"] = write_lines(out / "labels.jsonl", pretraining.records())
    write_lines(out / "truth.jsonl", pretraining.truth())
    counts["conversations"] = write_lines(
        out / "conversations.jsonl", sft.conversations(CONVERSATIONS)
    )
    write_lines(out / "conversations_truth.jsonl", sft.truth())
    counts["prompts"] = _write_prompts(out, world)
    # Annotated attributes first; the others may be annotated too (study truth --attributes).
    keys = [*world.annotated, *(name for name in world.attributes if name not in world.annotated)]
    write_json(out / "schema.json", {"name": world.name, "keys": keys})
    build_tokenizer(world).save(str(out / "tokenizer.json"))
    write_json(out / "world.json", world.stored)
    manifest = Manifest(
        kind="world",
        inputs=[] if source is None else [file_record(source)],
        config={"world": world.name, "seed": seed, "documents": wanted},
        counts=counts,
        outputs=_outputs(out),
        seed=seed,
    )
    manifest.write(out)
    return manifest


def _write_prompts(out: Path, world: WorldFile) -> int:
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


def world_of(folder: Path) -> WorldFile:
    """The world in a folder that :func:`write_world` wrote.

    :raises InputError: when it is no such folder.
    """
    read_manifest(folder, "world")
    return read_world(folder / "world.json")


def select(world: WorldFile, choices: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read ``attribute=SUBSET`` or ``attribute=VALUE,VALUE``.

    :raises InputError: for an attribute, subset or value that is not there.
    """
    found: dict[str, tuple[str, ...]] = {}
    for choice in choices:
        name, equals, wanted = choice.partition("=")
        if not equals or name not in world.attributes:
            raise InputError(
                f"--only {choice}: write ATTRIBUTE=SUBSET or ATTRIBUTE=VALUE,VALUE; the attributes "
                f"are {', '.join(world.attributes)}"
            )
        attribute = world.attributes[name]
        listed = tuple(value.strip() for value in wanted.split(","))
        values = attribute.subsets.get(wanted) or listed
        if unknown := [value for value in values if value not in attribute.values]:
            named = f"; its subsets are {', '.join(attribute.subsets)}" if attribute.subsets else ""
            raise InputError(f"--only {choice}: no {name} is {unknown[0]!r}{named}")
        if len(set(values)) < len(values):
            raise InputError(f"--only {choice}: a value stands there twice")
        found[name] = values
    return found


def write_conversations(
    world: Path,
    out: Path,
    seed: int,
    only: Iterable[str] = (),
    count: int = CONVERSATIONS,
    *,
    overwrite: bool = False,
) -> Manifest:
    """Write SFT data of the world in the folder ``world`` to the folder ``out``.

    :param only: what :func:`select` reads, in the place of the demo's.
    :raises InputError: when ``world`` is none, or ``out`` holds something, without ``overwrite``.
    """
    file = world_of(world)
    chosen = {**file.sft, **select(file, only)}
    prepare_output(out, overwrite=overwrite)
    sft = _Labelled(StoryWorld(file, seed))
    counts = {
        "conversations": write_lines(out / "conversations.jsonl", sft.conversations(count, chosen))
    }
    write_lines(out / "labels.jsonl", sft.records())
    values = {name: list(chosen.get(name, every)) for name, every in file.values.items()}
    manifest = Manifest(
        kind="conversations",
        inputs=[file_record(world / MANIFEST)],
        config={"world": file.name, "conversations": count, "values": values},
        counts=counts,
        outputs=_outputs(out),
        seed=seed,
        extra={"entropy_bits": {name: math.log2(len(some)) for name, some in values.items()}},
    )
    manifest.write(out)
    return manifest
