"""Batches of chunks through one annotator, in this process or in several, in order."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor

from olmo_anchor.annotate.base import Annotator, Chunk, Done, Outcome

__all__ = ["annotate_batches"]

_annotator: Annotator | None = None


def annotate_batches(
    annotator: Annotator, batches: Iterable[list[Chunk]], workers: int
) -> Iterator[Done]:
    """Yield each batch with its outcomes; few batches are held at a time."""
    if workers <= 1:
        yield from annotator.stream(batches)
        return
    # Spawned: `tokenizers` has threads, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[list[Chunk], Future[Sequence[Outcome]]]] = deque()
    with ProcessPoolExecutor(workers, context, _start, (annotator,)) as pool:
        for batch in batches:
            waiting.append((batch, pool.submit(_work, batch)))
            if len(waiting) > 2 * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _start(annotator: Annotator) -> None:
    global _annotator
    _annotator = annotator


def _work(batch: list[Chunk]) -> Sequence[Outcome]:
    assert _annotator is not None
    return _annotator.annotate(batch)
