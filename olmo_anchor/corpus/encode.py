"""Records to token ids, in this process or in several, always in the order of the input."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.chat import Message, TrainTurns, drop_annotation, encode_conversation
from olmo_anchor.corpus.documents import BadRecord, Record, parse_conversation, parse_document
from olmo_anchor.corpus.parts import smallest_uint
from olmo_anchor.errors import WorkFailed
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["Encoded", "Encoder", "Rejected", "encode_records"]

_BATCH_BYTES = 1 << 20
_BATCH_RECORDS = 512


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document of the corpus.

    :param ids: ``[n]``, the last is its only end-of-text.
    :param mask: the label mask ``[n]`` of a conversation.
    """

    record: tuple[int, int]
    id: str
    ids: NDArray[Any]
    mask: NDArray[np.bool_] | None = None
    crlf: int = 0
    truncated: bool = False
    annotations_dropped: int = 0
    controls_broken: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that cannot be used, by its source and line."""

    record: tuple[int, int]
    id: str | None
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Encoder:
    """Encodes batches of records; picklable, so that every worker has one.

    :param stems: of the sources, from which records without an id are named.
    :param max_length: of a conversation in tokens, annotations not counted.
    """

    tokenizer: AnchorTokenizer
    stems: tuple[str, ...]
    chat: bool
    train_turns: TrainTurns = "final"
    max_length: int | None = None

    def __call__(self, batch: list[Record]) -> list[Encoded | Rejected]:
        if self.chat:
            return [self._conversation(record) for record in batch]
        return self._documents(batch)

    def check(self, record: Record) -> Encoded | Rejected:
        """What can be told of a record without tokenising it: where it can be used, no ids."""
        parse = parse_conversation if self.chat else parse_document
        try:
            name = parse(record.raw).id
        except BadRecord as bad:
            return Rejected(record[:2], bad.name, bad.reason, bad.detail)
        return Encoded(record[:2], self._name(record, name), self._array([]))

    def _name(self, record: Record, name: str | None) -> str:
        return name if name is not None else f"{self.stems[record.source]}/{record.line}"

    def _documents(self, batch: list[Record]) -> list[Encoded | Rejected]:
        done: list[Encoded | Rejected | None] = []
        documents = []
        for record in batch:
            try:
                documents.append(parse_document(record.raw))
                done.append(None)
            except BadRecord as bad:
                done.append(Rejected(record[:2], bad.name, bad.reason, bad.detail))
        encoded = iter(
            zip(documents, self.tokenizer.encode_batch([d.text for d in documents]), strict=True)
        )
        return [
            self._document(record, *next(encoded)) if item is None else item
            for record, item in zip(batch, done, strict=True)
        ]

    def _document(self, record: Record, document: Any, ids: list[int]) -> Encoded | Rejected:
        name = self._name(record, document.id)
        if not ids:
            return Rejected(record[:2], name, "the text has no tokens")
        ids.append(self.tokenizer.control.end_of_text)
        return Encoded(record[:2], name, self._array(ids), crlf=document.crlf)

    def _conversation(self, record: Record) -> Encoded | Rejected:
        try:
            conversation = parse_conversation(record.raw)
        except BadRecord as bad:
            return Rejected(record[:2], bad.name, bad.reason, bad.detail)
        name = self._name(record, conversation.id)
        ids, mask = encode_conversation(conversation.messages, self.tokenizer, self.train_turns)
        length, limit = len(ids), self.max_length
        truncated = limit is not None and length > limit
        if limit is not None and truncated:
            # Documents are told apart by their end-of-text, so one must stand at the end. It is no
            # target: the response did not end here, and the model must not learn to stop here.
            ids = [*ids[: limit - 1], self.tokenizer.control.end_of_text]
            mask = [*mask[: limit - 1], False]
        if not any(mask):
            detail = f"{length} tokens, {limit} allowed"
            return Rejected(record[:2], name, "no trained token within --max-length", detail)
        dropped, broken = self._left_out(conversation.messages)
        flags = np.array(mask, np.bool_)
        return Encoded(
            record[:2],
            name,
            self._array(ids),
            flags,
            conversation.crlf,
            truncated,
            annotations_dropped=dropped,
            controls_broken=broken,
        )

    def _left_out(self, messages: Sequence[Message]) -> tuple[int, int]:
        """Annotations that were dropped from responses, and control strings that were broken up."""
        dropped = broken = 0
        for message in messages:
            content = message["content"]
            if message["role"] == "assistant":
                content = drop_annotation(content, self.tokenizer)
                dropped += content is not message["content"]
            # Each is broken up by one space.
            broken += len(self.tokenizer.break_controls(content)) - len(content)
        return dropped, broken

    def _array(self, ids: list[int]) -> NDArray[Any]:
        return np.array(ids, smallest_uint(self.tokenizer.vocab_size))


def encode_records(
    records: Iterable[Record], encoder: Encoder, workers: int
) -> Iterator[Encoded | Rejected]:
    """One result per record, in order; a few batches per worker are in memory at a time.

    :param workers: processes; with 1 the work is done here, where ``tokenizers`` uses all cores.
    :raises WorkFailed: when a worker dies.
    """
    batches = _batches(records)
    if workers == 1:
        for batch in batches:
            yield from encoder(batch)
        return
    # Spawned, not forked: a fork copies the threads' locks but not the threads of `tokenizers`.
    with ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(encoder,),
    ) as pool:
        waiting: deque[Future[list[Encoded | Rejected]]] = deque()
        try:
            for batch in islice(batches, 2 * workers):
                waiting.append(pool.submit(_work, batch))
            while waiting:
                results = waiting.popleft().result()
                for batch in islice(batches, 1):
                    waiting.append(pool.submit(_work, batch))
                yield from results
        except BrokenProcessPool:
            raise WorkFailed(
                "a worker process died, most likely for want of memory; give fewer --workers and "
                "--resume"
            ) from None


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.raw)
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_RECORDS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


_encoder: Encoder


def _start_worker(encoder: Encoder) -> None:
    global _encoder
    _encoder = encoder
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and says so once
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A worker whose parent was killed would wait for work for ever: it holds the queue's other end.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(batch: list[Record]) -> list[Encoded | Rejected]:
    return _encoder(batch)
