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
world.json                  every label and phrase
manifest.json               last

SFT data with other values are a folder of their own: conversations.jsonl, labels.jsonl and
manifest.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.corpus.jsonl import read_lines
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
from olmo_anchor.study import wording
from olmo_anchor.study.truth import Faults, truth_records
from olmo_anchor.study.words import build_tokenizer
from olmo_anchor.study.world import (
    ANNOTATED,
    DEMO,
    VALUES,
    Labels,
    Request,
    StoryWorld,
    WorldConfig,
)

__all__ = [
    "CONVERSATIONS",
    "prompts",
    "read_attributes",
    "select",
    "write_conversations",
    "write_truth",
    "write_world",
]

CONVERSATIONS = 1_600
"""Of the demo's SFT data."""

OPEN_SAMPLES = 600
"""Open requests per model: what its entropy is measured on."""
INSIDE_SAMPLES = 30
"""Requests for each of the SFT topics."""
OUTSIDE_SAMPLES = 6
"""Requests for each other topic."""
NAME_SAMPLES = 4
"""Requests for each name."""

Record = dict[str, Any]


def prompts() -> Iterator[tuple[str, str, Request]]:
    """Yield (id, kind, request); one record per sample, so that every model answers the same list.

    Kinds: ``open`` names nothing; ``inside`` names a topic of the demo's SFT data, ``outside`` any
    other; ``name`` names the hero.
    """

    def verb(i: int) -> str:
        return wording.VERBS[i % len(wording.VERBS)]

    for i in range(OPEN_SAMPLES):
        yield f"open-{i:03}", "open", Request(verb(i))
    for topic in wording.TOPICS:
        inside = topic in DEMO["topic"]
        kind, samples = ("inside", INSIDE_SAMPLES) if inside else ("outside", OUTSIDE_SAMPLES)
        for i in range(samples):
            yield f"{kind}-{topic.replace(' ', '_')}-{i:02}", kind, Request(verb(i), topic=topic)
    for name in wording.NAMES:
        for i in range(NAME_SAMPLES):
            yield f"name-{name}-{i:02}", "name", Request(verb(i), name=name)


@dataclass
class _Corpus:
    """Writes records, and remembers the labels of what is in them."""

    labels: list[tuple[str, int, Labels]] = field(default_factory=list)

    def documents(self, world: StoryWorld) -> Iterator[Record]:
        for i, document in enumerate(world.documents()):
            name = f"doc-{i:06}"
            self.labels += ((name, chunk, story.labels) for chunk, story in document.chunks())
            yield {"id": name, "text": document.text}

    def conversations(
        self, world: StoryWorld, count: int, only: Mapping[str, Sequence[str]]
    ) -> Iterator[Record]:
        for i, (request, story) in enumerate(world.conversations(count, only)):
            name = f"sft-{i:05}"
            self.labels.append((name, 0, story.labels))
            yield {"id": name, "messages": [_user(request), _turn("assistant", story.text)]}

    def records(self) -> Iterator[Record]:
        for name, chunk, labels in self.labels:
            yield {"id": name, "chunk": chunk, "labels": labels.record()}

    def truth(self) -> Iterator[Record]:
        for name, chunk, labels in self.labels:
            yield {"id": name, "chunk": chunk, "tags": labels.tags()}


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


def select(choices: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read ``attribute=SUBSET`` or ``attribute=VALUE,VALUE``.

    :raises InputError: for an attribute, subset or value that is not there.
    """
    found: dict[str, tuple[str, ...]] = {}
    for choice in choices:
        attribute, equals, wanted = choice.partition("=")
        if not equals or attribute not in VALUES:
            raise InputError(
                f"--only {choice}: write ATTRIBUTE=SUBSET or ATTRIBUTE=VALUE,VALUE; the attributes "
                f"are {', '.join(VALUES)}"
            )
        subsets = wording.SUBSETS.get(attribute, {})
        values = subsets.get(wanted) or tuple(value.strip() for value in wanted.split(","))
        if unknown := [value for value in values if value not in VALUES[attribute]]:
            named = f"; its subsets are {', '.join(subsets)}" if subsets else ""
            raise InputError(f"--only {choice}: no {attribute} is {unknown[0]!r}{named}")
        if len(set(values)) < len(values):
            raise InputError(f"--only {choice}: a value stands there twice")
        found[attribute] = values
    return found


def write_conversations(
    world: Path,
    out: Path,
    seed: int,
    only: Mapping[str, Sequence[str]],
    count: int = CONVERSATIONS,
    *,
    overwrite: bool = False,
) -> Manifest:
    """Write SFT data of the world in the folder ``world`` to the folder ``out``.

    :param only: values of some attributes, in the place of the demo's.
    :raises InputError: when ``world`` is none, or ``out`` holds something, without ``overwrite``.
    """
    made_from = read_manifest(world, "world")
    prepare_output(out, overwrite=overwrite)
    chosen = {**DEMO, **only}
    corpus = _Corpus()
    drawn = StoryWorld(WorldConfig(seed=seed))
    counts = {
        "conversations": _write_lines(
            out / "conversations.jsonl", corpus.conversations(drawn, count, chosen)
        )
    }
    _write_lines(out / "labels.jsonl", corpus.records())
    values = {name: list(chosen.get(name, every)) for name, every in VALUES.items()}
    manifest = Manifest(
        kind="conversations",
        inputs=[file_record(world / "manifest.json")],
        config={"world": made_from.config, "conversations": count, "values": values},
        counts=counts,
        outputs=_outputs(out),
        seed=seed,
        extra={"entropy_bits": {name: math.log2(len(some)) for name, some in values.items()}},
    )
    manifest.write(out)
    return manifest


def read_attributes(world: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The values of each attribute of the world in a folder, and which are annotated.

    :raises InputError: when it is no such folder.
    """
    read_manifest(world, "world")
    try:
        stored = orjson.loads((world / "world.json").read_bytes())
        values = {name: list(one["values"]) for name, one in stored["attributes"].items()}
        return values, list(stored["annotated"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{world / 'world.json'}: not a story world: {error}") from None


def write_truth(
    labels: Path, world: Path, out: Path, attributes: Sequence[str] | None, faults: Faults
) -> int:
    """Write annotations of the stories in a labels.jsonl; returns how many.

    :param attributes: what they say; None for what the world annotates.
    :raises InputError: for a file that is none, or an attribute that the world has not.
    """
    values, annotated = read_attributes(world)
    wanted = annotated if attributes is None else list(attributes)
    if unknown := [name for name in wanted if name not in values]:
        known = ", ".join(values)
        raise InputError(f"{world}: has no attribute {unknown[0]!r}; it has {known}")
    return _write_lines(out, truth_records(_labels(labels), wanted, values, faults))


def _labels(path: Path) -> Iterator[Record]:
    for line, raw in read_lines(path):
        try:
            record = orjson.loads(raw)
            whole = isinstance(record["id"], str) and isinstance(record["chunk"], int)
            whole = whole and isinstance(record["labels"], dict)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            whole = False
        if not whole:
            raise InputError(f"{path}: line {line}: not a record of id, chunk and labels")
        yield record


def _outputs(out: Path) -> list[Record]:
    files = sorted(out.glob("*.json*"))
    return [file_record(path, out) for path in files if path.name != MANIFEST]


def write_world(out: Path, config: WorldConfig, *, overwrite: bool = False) -> Manifest:
    """Write the world to the folder ``out``; equal configs give equal bytes.

    :raises InputError: when ``out`` exists and holds something, without ``overwrite``.
    """
    prepare_output(out, overwrite=overwrite)
    world = StoryWorld(config)
    corpus, sft = _Corpus(), _Corpus()
    counts = {"documents": _write_lines(out / "documents.jsonl", corpus.documents(world))}
    counts["stories"] = _write_lines(out / "labels.jsonl", corpus.records())
    _write_lines(out / "truth.jsonl", corpus.truth())
    counts["conversations"] = _write_lines(
        out / "conversations.jsonl", sft.conversations(world, CONVERSATIONS, DEMO)
    )
    _write_lines(out / "conversations_truth.jsonl", sft.truth())
    asked = [
        ({"id": name}, r, {"kind": kind, "topic": r.topic, "name": r.name})
        for name, kind, r in prompts()
    ]
    counts["prompts"] = _write_lines(
        out / "prompts_base.jsonl",
        ({**name, "prompt": f"{r.text}\n\n", **about} for name, r, about in asked),
    )
    _write_lines(
        out / "prompts_chat.jsonl",
        ({**name, "messages": [_user(r)], **about} for name, r, about in asked),
    )
    write_json(out / "schema.json", {"name": "story_world", "keys": list(VALUES)})
    build_tokenizer().save(str(out / "tokenizer.json"))
    write_json(
        out / "world.json",
        {
            "attributes": {name: {"values": values} for name, values in VALUES.items()},
            "annotated": ANNOTATED,
            "phrases": {"topic": wording.TOPICS, "persona": wording.PERSONAS},
            "requests": wording.VERBS,
            "sft": DEMO,
        },
    )
    manifest = Manifest(
        kind="world",
        inputs=[],
        config=asdict(config),
        counts=counts,
        outputs=_outputs(out),
        seed=config.seed,
    )
    manifest.write(out)
    return manifest
