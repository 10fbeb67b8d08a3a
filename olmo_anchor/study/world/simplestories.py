"""SimpleStories in the place of the story world: the same files, from stories with their labels.

The stories are split once, by a hash of what they were generated with: one part is pretraining
documents, the other is kept for SFT data (:mod:`olmo_anchor.study.world.pool`). A story is one
chunk: blank lines in it become line ends.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from olmo_anchor.annotation import Tag
from olmo_anchor.corpus.hub import PREFIX, HubSplit
from olmo_anchor.corpus.parquet import ParquetFile
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import Manifest, atomic_write, prepare_output, write_json
from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.hashing import uniform
from olmo_anchor.study.world.pool import POOL
from olmo_anchor.study.world.read import built_in, read_world
from olmo_anchor.study.world.stories import Document, Labels, Story, ask, stream
from olmo_anchor.study.world.write import Labelled, outputs, write_about, write_lines
from olmo_anchor.study.yaml_file import read_yaml
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["HELD_BACK", "write_simplestories"]

HELD_BACK = 0.5
"""Of the stories, kept for SFT data."""

_FROM_WORLD = ("topic", "persona")
_BLANK = re.compile(r"\n\s*\n")

Row = Mapping[str, Any]


def _sources(given: str) -> list[HubSplit] | list[ParquetFile]:
    """A Parquet file, a folder of them, or a data set of the hub."""
    stored = read_yaml(Path(__file__).with_name("simplestories.yaml"))
    fields = ("generation_id", "story", *stored["attributes"])
    path = Path(given)
    if path.exists():
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{path}: holds no Parquet file")
        return [ParquetFile(file, file.name, fields=fields) for file in files]
    if given.endswith(".parquet") or (given.count("/") != 1 and not given.startswith(PREFIX)):
        raise InputError(f"{given}: no such file, and not the id of a data set: owner/name")
    spec = given if given.startswith(PREFIX) else f"{PREFIX}datasets/{given}:train"
    return [HubSplit(spec, fields=fields)]


def _rows(sources: Sequence[HubSplit | ParquetFile]) -> Iterator[Row]:
    for source in sources:
        for batch in source.batches():
            for record in batch:
                assert isinstance(record.raw, dict)
                yield record.raw


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


@dataclass
class _Dump:
    """The stories of a data set that can be used; what cannot is counted.

    :param world: the choices; of ``topic`` and ``persona`` also the values.
    :ivar values: of the other attributes, as they were found.
    """

    sources: Sequence[HubSplit | ParquetFile]
    stored: dict[str, Any]
    held_back: float
    counts: Counter[str] = field(default_factory=Counter)
    values: dict[str, set[str]] = field(default_factory=dict)

    def stories(self) -> Iterator[tuple[bool, Story]]:
        """(held back, story)"""
        about, seen = self.stored["about"], set()
        for row in _rows(self.sources):
            self.counts["rows"] += 1
            text = _BLANK.sub("\n", _text(row.get("story")).replace("\r\n", "\n").strip())
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            labels = {name: self._label(name, row.get(name)) for name in self.stored["attributes"]}
            if not text:
                self.counts["empty stories"] += 1
            elif digest in seen:
                self.counts["repeated stories"] += 1
            elif labels[about] is None:
                self.counts[f"stories without a known {about}"] += 1
            else:
                seen.add(digest)
                known = {name: label for name, label in labels.items() if label is not None}
                for name, label in known.items():
                    self.values.setdefault(name, set()).add(label)
                group = _text(row.get("generation_id")) or text
                yield uniform("held back", group) < self.held_back, Story(Labels(known), text)

    def _label(self, name: str, value: Any) -> str | None:
        # The paper leaves the commas of two personas out; and a list on a command line has commas.
        label = " ".join(_text(value).replace(",", "").split())
        if not label:
            return None
        if name in _FROM_WORLD:
            return label if label in built_in().values[name] else None
        try:
            Tag(name, label)
        except ValueError:
            self.counts[f"{name} that no annotation can hold"] += 1
            return None
        return label


def _documents(
    dump: _Dump, kept: IO[bytes], count: int, seed: int, world: WorldFile
) -> Iterator[Document]:
    rng = stream(seed, "documents")
    shares = {name: how.pretraining for name, how in world.naming.items()}
    for held_back, story in dump.stories():
        if held_back:
            record = {"text": story.text, "labels": story.labels.values}
            kept.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            dump.counts["held back"] += 1
            continue
        named = rng.random() < world.corpus.requests
        request = ask(world, rng, story.labels.values, shares) if named else None
        yield Document(request, (story,))
        count -= 1
        if not count:
            return


def write_simplestories(
    out: Path,
    source: str,
    seed: int,
    documents: int | None = None,
    *,
    held_back: float = HELD_BACK,
    tokenizer: str | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write the files of a world from the data set; it is read until there are documents enough.

    :param source: a Parquet file, a folder of them, or a hub id.
    :param tokenizer: what :meth:`AnchorTokenizer.load` reads; written beside the rest.
    :raises InputError: when it cannot be read, or ``out`` holds something, without ``overwrite``.
    :raises WorkFailed: when it has no story that can be used.
    """
    sources = _sources(source)
    inputs = [one.check()[0] for one in sources]
    loaded = None if tokenizer is None else AnchorTokenizer.load(tokenizer)
    prepare_output(out, overwrite=overwrite, inputs=[Path(source)] if Path(source).exists() else [])
    stored = read_yaml(Path(__file__).with_name("simplestories.yaml"))
    for name in _FROM_WORLD:
        ours = built_in().attributes[name]
        subsets = {size: list(values) for size, values in ours.subsets.items()}
        stored["attributes"][name] = {"values": list(ours.values), "subsets": subsets}
    dump = _Dump(sources, stored, held_back)
    wanted = documents or stored["corpus"]["documents"]
    # Requests name topic and persona alone, whose values are known before a story is read.
    asking = _world(out, stored, _FROM_WORLD)
    told = Labelled()
    with atomic_write(out / POOL) as kept:
        drawn = _documents(dump, kept, wanted, seed, asking)
        counts = {"documents": write_lines(out / "documents.jsonl", told.documents(drawn))}
    if not counts["documents"]:
        seen = ", ".join(f"{n:,} {what}" for what, n in dump.counts.items()) or "no rows"
        raise WorkFailed(f"{source}: not one story for pretraining: {seen}")
    for name, values in dump.values.items():
        if name not in _FROM_WORLD:
            stored["attributes"][name] = {"values": sorted(values)}
    world = _world(out, stored, tuple(dump.values))
    write_lines(out / "labels.jsonl", told.records())
    write_lines(out / "truth.jsonl", told.truth(world))
    counts["prompts"] = write_about(out, world)
    if loaded is not None:
        loaded.save(out)
    manifest = Manifest(
        kind="world",
        inputs=inputs,
        config={"world": world.name, "seed": seed, "documents": wanted, "held_back": held_back},
        counts={**counts, **dump.counts},
        outputs=outputs(out),
        seed=seed,
    )
    manifest.write(out)
    return manifest


def _world(out: Path, stored: dict[str, Any], attributes: Sequence[str]) -> WorldFile:
    """The world with some of its attributes: those that the data set has."""
    there = {
        name: stored["attributes"][name] for name in stored["attributes"] if name in attributes
    }
    naming = {name: how for name, how in stored["requests"]["naming"].items() if name in there}
    world = {
        **stored,
        "attributes": there,
        "annotated": [name for name in stored["annotated"] if name in there],
        "requests": {**stored["requests"], "naming": naming},
    }
    write_json(out / "world.json", world)
    return read_world(out / "world.json")
