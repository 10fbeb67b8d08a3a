"""From a TOKENS_DIR to an ANNOTATIONS_DIR, one record per annotated chunk.

The folder holds::

    annotations.jsonl  {"part", "doc", "id", "chunk", "tags": [[key, value], ...], "annotator"}, in
                       order of part, document and chunk
    rejected.jsonl     chunks that should have an annotation and have none, with the reason, if any
    manifest.json      kind "annotations"; ``extra`` holds the hash of the tokens' manifest, the
                       schema and ``min_chunk_tokens``, which the overlay takes from there

Documents are cut into chunks as the overlay cuts them (:mod:`olmo_anchor.corpus.chunks`).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any

from olmo_anchor.annotate.base import Annotator, Chunk, Outcome, Refused
from olmo_anchor.annotate.file import FileAnnotator
from olmo_anchor.annotate.llm_config import LLM_ANNOTATORS, LLMConfig
from olmo_anchor.annotate.stream import batches, chunks
from olmo_anchor.annotate.workers import annotate_batches
from olmo_anchor.annotation import PAPER_SCHEMA, Annotation, Schema
from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.part_journal import PartJournal
from olmo_anchor.corpus.schema_file import load_schema, schema_record
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.journal import Journal, Rejects, check_rejected, rejected_line
from olmo_anchor.manifest import (
    MANIFEST,
    Manifest,
    file_record,
    prepare_output,
    read_manifest,
)
from olmo_anchor.progress import console, progress

__all__ = ["ANNOTATORS", "AnnotateConfig", "preview", "summary"]

ANNOTATORS = ("keyword", "file", "oracle", *LLM_ANNOTATORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateConfig:
    """Annotate every chunk of a TOKENS_DIR.

    :param annotator: one of :data:`ANNOTATORS`.
    :param annotations: for ``file`` and ``oracle``: the annotations that exist.
    :param schema: a YAML or JSON file; without one, the annotator's own or the paper's.
    :param llm: for the language models: which one, and how it is asked.
    :param min_chunk_tokens: shorter chunks are joined to the next.
    :param workers: processes, for annotators that can use them.
    :param limit: only the first documents.
    :param max_rejected: the share of annotations above which the work fails; without one,
        :func:`~olmo_anchor.journal.default_share`.
    """

    tokens: Path
    annotator: str
    out: Path
    annotations: Path | None = None
    schema: Path | None = None
    llm: LLMConfig = field(default_factory=LLMConfig)
    min_chunk_tokens: int = 0
    workers: int = 1
    limit: int | None = None
    max_rejected: float | None = None
    overwrite: bool = False
    resume: bool = False

    def run(self) -> Manifest:
        """Annotate, in order; what is done is kept when the work is stopped.

        :raises InputError: when the tokens, the annotations or the call are wrong, or ``out``
            exists.
        :raises WorkFailed: when more than ``max_rejected`` of the records were rejected.
        """
        return _Job(self).run()

    def first(self, most: int = 5) -> list[tuple[Chunk, Outcome]]:
        """Annotate the first chunks and write nothing."""
        job = _Job(self)
        found: list[Chunk] = []
        for batch in job.batches():
            found += batch[: most - len(found)]
            if len(found) == most:
                break
        return list(zip(found, job.annotator.annotate(found), strict=True))


def summary(manifest: Manifest, config: AnnotateConfig) -> str:
    """What a person wants to know when it is done, with the next command."""
    counts, reasons = manifest.counts, manifest.extra["rejected_reasons"]
    records = counts["annotations"] + counts["rejected"]
    return (
        f"{config.out}: {counts['annotations']:,} of {counts['chunks']:,} chunks annotated, "
        f"{counts['unannotated']:,} without an annotation\n"
        f"{rejected_line(reasons, records, config.out / 'rejected.jsonl')}\n"
        f"next: olmo-anchor overlay {config.tokens} {config.out} --out OVERLAY_DIR"
    )


def preview(config: AnnotateConfig) -> str:
    """The first chunks and what would be written about them."""
    lines = []
    for chunk, outcome in config.first():
        text = " ".join(chunk.text.split())
        lines.append(f"{chunk.id or chunk.doc}, chunk {chunk.chunk}: {text[:200]}")
        if isinstance(outcome, Annotation):
            lines += [f"    {tag}" for tag in outcome.tags]
        else:
            lines.append(f"    no annotation{f': {outcome.reason}' if outcome else ''}")
    return "\n".join(lines)


_START = {"part": 0, "doc": 0, "chunk": 0, "tokens": 0}
"""Where the work goes on: so many chunks of this document are done, and all before it."""


class _Job:
    def __init__(self, config: AnnotateConfig) -> None:
        self.config = config
        self.began = time.monotonic()
        self.tokens = TokensDir.open(config.tokens)
        self.tokens.check_not_interleaved()
        self.tokens.check_contents()
        self.tokenizer = self.tokens.tokenizer()
        self.rule = ChunkRule.of(self.tokens, self.tokenizer, config.min_chunk_tokens)
        self.schema, self.annotator = _open_annotator(config, self.tokens.chat)
        self.key: dict[str, Any] = {
            "tokens_manifest": self.tokens.manifest.hash,
            "annotator": config.annotator,
            "annotations": file_record(config.annotations) if config.annotations else None,
            "schema": schema_record(self.schema),
            "min_chunk_tokens": config.min_chunk_tokens,
            "limit": config.limit,
        }
        if self.annotator.settings:
            self.key["settings"] = self.annotator.settings
        self.counts = Counter[str](chunks=0, annotations=0, unannotated=0)

    def batches(self, part: int = 0, doc: int = 0, chunk: int = 0) -> Iterator[list[Chunk]]:
        """The chunks from one on, some at a time."""
        left = self.config.limit
        if left is not None:
            left -= sum(p.documents for p in self.tokens.parts[:part]) + doc
        before = self.annotator.before_chars
        found = chunks(self.tokens, self.tokenizer, self.rule, part, doc, left, before)
        return batches(found, self.annotator.batch_chars, chunk)

    def run(self) -> Manifest:
        out = self.config.out
        if self.config.resume and (out / MANIFEST).exists():
            manifest = read_manifest(out, "annotations")
            PartJournal.check(out, manifest.extra["key"], self.key)
            console.print(f"{out}: finished already")
            return manifest
        # Before anything is written, or what would be replaced is gone.
        self.tokens.check_bounds()
        prepare_output(
            out,
            overwrite=self.config.overwrite,
            resume=self.config.resume,
            inputs=(self.config.tokens,),
        )
        state = self._resume()
        rejects = Rejects(out / "rejected.jsonl")
        journal = Journal(out / "journal.jsonl")
        records = Journal(out / "annotations.jsonl")
        try:
            if state is None:
                journal.append({"key": self.key})
                state = {**_START, "counts": dict(self.counts)}
            self.counts.update(state["counts"])
            for path in (out / "annotations.jsonl", out / "rejected.jsonl"):
                for record in _lines(path):
                    self.annotator.replay(record)
            self._annotate(state, journal, records, rejects)
            if self.config.limit is None:
                for reason, where in self.annotator.leftovers():
                    rejects.add(reason, **where)
            total = self.counts["annotations"] + rejects.count
            check_rejected(rejects, total, self.config.max_rejected)
        finally:
            for file in (rejects, journal, records):
                file.close()
        manifest = self._manifest(rejects)
        (out / "journal.jsonl").unlink()
        return manifest

    def _resume(self) -> dict[str, Any] | None:
        """The state after the last finished batch; what was written later is cut off."""
        out = self.config.out
        last: dict[str, Any] | None = None
        for number, record in enumerate(_lines(out / "journal.jsonl")):
            if number == 0:
                PartJournal.check(out, record["key"], self.key)
                last = {**_START, "annotations": 0, "rejected": 0, "counts": {}}
            else:
                last = record
        for name in ("annotations", "rejected"):
            path = out / f"{name}.jsonl"
            if path.exists():
                os.truncate(path, last[name] if last else 0)
        return last

    def _annotate(
        self, state: dict[str, Any], journal: Journal, records: Journal, rejects: Rejects
    ) -> None:
        before = [0, *accumulate(part.tokens for part in self.tokens.parts)]
        total, done = self._total(), state["tokens"]
        todo = self.batches(state["part"], state["doc"], state["chunk"])
        workers = self.config.workers if self.annotator.parallel else 1
        with progress("annotating tokens", total) as advance:
            advance(done)
            for found, outcomes in annotate_batches(self.annotator, todo, workers):
                self._keep(found, outcomes, records, rejects)
                last = found[-1]
                now = before[last.part] + last.end
                journal.append(
                    {
                        "part": last.part,
                        "doc": last.doc,
                        "chunk": last.chunk + 1,
                        "tokens": now,
                        "annotations": records.path.stat().st_size,
                        "rejected": rejects.path.stat().st_size if rejects.path.exists() else 0,
                        "counts": dict(self.counts),
                    }
                )
                advance(now - done)
                done = now
            advance(total - done)

    def _total(self) -> int:
        """The tokens of the documents that are annotated."""
        if self.config.limit is None or self.config.limit >= self.tokens.documents:
            return self.tokens.tokens
        rows = chain.from_iterable(part.rows() for part in self.tokens.parts)
        return sum(end - start for start, end, _ in islice(rows, self.config.limit))

    def _keep(
        self,
        chunks: Sequence[Chunk],
        outcomes: Sequence[Outcome],
        records: Journal,
        rejects: Rejects,
    ) -> None:
        lines = []
        for chunk, outcome in zip(chunks, outcomes, strict=True):
            if isinstance(outcome, Annotation) and (reason := self.schema.refuse(outcome)):
                outcome = Refused(reason)
            if isinstance(outcome, Refused):
                rejects.add(outcome.reason, **chunk.where())
            elif outcome is None:
                self.counts["unannotated"] += 1
            else:
                record = {"tags": outcome.pairs(), "annotator": self.annotator.name}
                lines.append({**chunk.where(), **record})
        records.extend(lines)
        self.counts["chunks"] += len(chunks)
        self.counts["annotations"] += len(lines)
        self.counts.update(self.annotator.counts)
        self.annotator.counts.clear()

    def _manifest(self, rejects: Rejects) -> Manifest:
        out, config = self.config.out, self.config
        names = ["annotations.jsonl"] + ["rejected.jsonl"] * (out / "rejected.jsonl").exists()
        made_of = self.tokens.manifest.hash
        manifest = Manifest(
            kind="annotations",
            inputs=[
                {"path": str(config.tokens.resolve() / MANIFEST), "sha256": made_of},
                *([self.key["annotations"]] if config.annotations else []),
            ],
            config={k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()},
            counts={**self.counts, "rejected": rejects.count},
            outputs=[file_record(out / name, out) for name in names],
            extra={
                "key": self.key,
                "tokens_manifest": made_of,
                "annotator": self.annotator.name,
                "schema": schema_record(self.schema),
                "min_chunk_tokens": config.min_chunk_tokens,
                "rejected_reasons": dict(rejects.reasons),
            },
            seconds=round(time.monotonic() - self.began, 3),
        )
        manifest.write(out)
        return manifest


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with Journal(path) as journal:
            yield from journal.records()


def _open_annotator(config: AnnotateConfig, chat: bool) -> tuple[Schema, Annotator]:
    schema = load_schema(config.schema) if config.schema else None
    config.llm.check(config.annotator)
    if config.annotator in ("file", "oracle"):
        if config.annotations is None:
            raise InputError(
                f"--annotator {config.annotator} needs --annotations FILE, the annotations as JSONL"
            )
        schema = schema or PAPER_SCHEMA
        return schema, FileAnnotator(config.annotations, schema, config.annotator)
    if config.annotations is not None:
        raise InputError(f"--annotations is for file and oracle, not {config.annotator}")
    if config.annotator == "keyword":
        from olmo_anchor.annotate.keyword import KEYWORD_SCHEMA, KeywordAnnotator

        schema = schema or KEYWORD_SCHEMA
        return schema, KeywordAnnotator(schema)
    if config.annotator in LLM_ANNOTATORS:
        annotator = config.llm.open(config.annotator, schema, chat=chat)
        return annotator.schema, annotator
    raise InputError(f"there is no annotator {config.annotator!r}; there are {ANNOTATORS}")
