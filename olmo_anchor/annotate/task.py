"""One task of a job: the chunks of consecutive documents, annotated and written in order.

Line i of its journal is the outcome of chunk i. A task that was killed goes on behind the last
whole line: what was in the annotator's hands is done again, nothing else.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
import zstandard

from olmo_anchor.annotate.base import Annotator, Chunk, Done, Refused
from olmo_anchor.annotate.folder import TaskFiles, sole
from olmo_anchor.annotate.plan import Plan
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.annotate.stream import batches, chunks
from olmo_anchor.annotation import Annotation, Schema
from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import AnchorError, WorkFailed
from olmo_anchor.journal import Journal
from olmo_anchor.manifest import atomic_write, file_record, write_json

__all__ = ["run_task", "text_hash"]

_HOPELESS = 200
"""So many rejected chunks, and more than half of all, end a task: the rest would be no better."""


@dataclass
class _Tally:
    """What became of the chunks, and the sums of what the annotator counts."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, record: dict[str, Any]) -> None:
        self.counts["chunks"] += 1
        if "reason" in record:
            self.reasons[record["reason"]] += 1
        else:
            self.counts["unannotated" if record["tags"] is None else "annotations"] += 1
        self.counts.update(record.get("batch", {}))

    def check(self) -> None:
        rejected = self.reasons.total()
        if rejected >= _HOPELESS and 2 * rejected > self.counts["chunks"]:
            reason, times = self.reasons.most_common(1)[0]
            raise WorkFailed(
                f"{rejected} of the first {self.counts['chunks']} chunks of a task were rejected, "
                f"most often ({times}): {reason}. Look at some: the same command with --sample 20 "
                "--show writes nothing. --overwrite begins again"
            )


def run_task(plan: Plan, number: int) -> None:
    """Do what is left of a task.

    :raises InputError: when another process works on it.
    :raises WorkFailed: when the annotator cannot go on, or most chunks are rejected; the same call
        goes on from there.
    """
    files = TaskFiles(plan.out, number)
    if files.done.exists():
        return
    with sole(files.lock, f"{plan.out}, task {number}"):
        try:
            _run(plan, number, files)
        except AnchorError as error:
            write_json(files.error, {"message": str(error), "exit_code": error.exit_code})
            raise
    files.lock.unlink(missing_ok=True)


def _run(plan: Plan, number: int, files: TaskFiles) -> None:
    began = time.monotonic()
    config = plan.annotator
    annotator = _kept(config) if config.in_tasks else config.build()
    schema = plan.annotator.resolved_schema()
    tally = _Tally()
    last: dict[str, Any] | None = None
    with Journal(files.journal) as journal:
        for last in journal.records():
            tally.add(last)
            annotator.replay(last)
        todo = batches(_chunks_after(plan, number, annotator, last), annotator.batch_chars)
        for done in annotator.stream(todo):
            records = _records(done, annotator, schema)
            journal.extend(records)
            for record in records:
                tally.add(record)
            tally.check()
    leftovers = list(annotator.leftovers()) if plan.tasks == 1 else []
    tally.reasons.update(reason for reason, _ in leftovers)
    _publish(files, leftovers)
    write_json(
        files.done,
        {
            "counts": tally.counts,
            "reasons": tally.reasons,
            "records": file_record(files.records, plan.out),
            "seconds": round(time.monotonic() - began, 3),
        },
    )
    files.journal.unlink()


@lru_cache(maxsize=1)
def _kept(config: AnnotatorConfig) -> Annotator:
    """The tasks of one process share a model."""
    return config.build()


def _chunks_after(
    plan: Plan, number: int, annotator: Annotator, last: dict[str, Any] | None
) -> Iterator[Chunk]:
    tokens = TokensDir.open(plan.tokens)
    tokenizer = tokens.tokenizer()
    rule = ChunkRule.of(tokens, tokenizer, plan.min_chunk_tokens)
    first, end = plan.share(number)
    after = -1
    if last is not None:
        first, after = tokens.documents_before[last["part"]] + last["doc"], last["chunk"]
    if first >= end:
        return
    part, doc = tokens.locate(first)
    left, before = end - first, annotator.before_chars
    for chunk in chunks(tokens, tokenizer, rule, part.index, doc, left, before):
        if chunk.chunk > after or (chunk.part, chunk.doc) != (part.index, doc):
            yield chunk


def _records(done: Done, annotator: Annotator, schema: Schema) -> list[dict[str, Any]]:
    """Lines of the journal: records, some with a ``reason`` in the place of tags.

    What the annotator counts for the whole batch stands in its last line.
    """
    lines = []
    attempts = done.attempts or [1] * len(done.chunks)
    for chunk, outcome, attempt in zip(done.chunks, done.outcomes, attempts, strict=True):
        line: dict[str, Any] = {**chunk.where(), "text_hash": text_hash(chunk.text)}
        if isinstance(outcome, Annotation) and (reason := schema.refuse(outcome)):
            outcome = Refused(reason)
        if isinstance(outcome, Refused):
            line["reason"] = outcome.reason
        else:
            line["tags"] = None if outcome is None else outcome.pairs()
        lines.append({**line, "annotator": annotator.name, "attempt": attempt})
    if done.counts:
        lines[-1]["batch"] = dict(done.counts)
    return lines


def text_hash(text: str) -> str:
    """16 hex digits of a chunk's text: tells whether a record still belongs to it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _publish(files: TaskFiles, leftovers: list[tuple[str, dict[str, Any]]]) -> None:
    """The journal, apart: records, and what was rejected."""
    files.records.parent.mkdir(exist_ok=True)
    with (
        Journal(files.journal) as journal,
        atomic_write(files.rejected) as rejected,
        atomic_write(files.records) as file,
        zstandard.ZstdCompressor().stream_writer(file, closefd=False) as records,
    ):
        for record in journal.records():
            record.pop("batch", None)
            if "reason" in record:
                rejected.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            elif record["tags"] is not None:
                records.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        for reason, where in leftovers:
            line = {"reason": reason, **where}
            rejected.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
