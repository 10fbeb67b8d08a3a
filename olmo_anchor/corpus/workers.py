"""Batches of records encoded in this process or in several, always in the order of the input."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from olmo_anchor.corpus.documents import Record
from olmo_anchor.corpus.encode import Encoded, Encoder, Rejected
from olmo_anchor.errors import WorkFailed

__all__ = ["encode_batches"]


def encode_batches(
    batches: Iterator[list[Record]], encoder: Encoder, workers: int
) -> Iterator[list[Encoded | Rejected]]:
    """One result per record, in order; a few batches per worker are in memory at a time.

    :param workers: processes of one thread, of which this is one; with 1, ``tokenizers`` uses all
        cores.
    :raises WorkFailed: when a worker dies.
    """
    if workers == 1:
        yield from map(encoder, batches)
        return
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Spawned, not forked: a fork copies the threads' locks but not the threads of `tokenizers`.
    with ProcessPoolExecutor(
        workers - 1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(encoder,),
    ) as pool:
        waiting: deque[Future[list[Encoded | Rejected]]] = deque()
        try:
            for batch in batches:
                if sum(not one.done() for one in waiting) < 2 * (workers - 1):
                    waiting.append(pool.submit(_work, batch))
                else:
                    waiting.append(_done(encoder(batch)))
                while waiting and (waiting[0].done() or len(waiting) > 4 * workers):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise WorkFailed(
                "a worker process died, most likely for want of memory; give fewer --workers and "
                "--resume"
            ) from None


def _done(results: list[Encoded | Rejected]) -> Future[list[Encoded | Rejected]]:
    future: Future[list[Encoded | Rejected]] = Future()
    future.set_result(results)
    return future


_encoder: Encoder


def _start_worker(encoder: Encoder) -> None:
    global _encoder
    _encoder = encoder
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
