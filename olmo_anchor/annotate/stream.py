"""The chunks of a corpus with their text, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.annotate.base import Chunk
from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["batches", "chunks", "chunks_of_document"]

_BLOCK_TOKENS = 1 << 18
_CONTEXT_CHARS = 20_000


def chunks(
    tokens: TokensDir,
    tokenizer: AnchorTokenizer,
    rule: ChunkRule,
    part: int = 0,
    doc: int = 0,
    limit: int | None = None,
    before_chars: int = 0,
) -> Iterator[Chunk]:
    """The chunks of a corpus from one document on.

    :param part, doc: the document that the first of them belong to.
    :param limit: so many documents at most.
    :param before_chars: each chunk comes with what stands before it, so much of it at most: the
        end of the document so far, or of the conversation.
    """
    for source in tokens.parts[part:]:
        for block in source.blocks(doc, _BLOCK_TOKENS):
            for k, name in enumerate(block.names):
                if limit is not None:
                    if limit <= 0:
                        return
                    limit -= 1
                ids, mask = block.document(k)
                place = (source.index, block.first + k, name)
                cuts = rule.cuts(ids, mask)
                yield from chunks_of_document(tokenizer, place, ids, cuts, before_chars)
        doc = 0


def chunks_of_document(
    tokenizer: AnchorTokenizer,
    place: tuple[int, int, str | None],
    ids: NDArray[Any],
    cuts: NDArray[np.int64],
    before_chars: int = 0,
) -> Iterator[Chunk]:
    """:param place: its part, its index there, and its id.
    :param cuts: of :meth:`ChunkRule.cuts`.
    """
    texts = [tokenizer.decode(ids[start:end]) for start, end in cuts]
    context = _context(texts)
    for number, (text, (start, end)) in enumerate(zip(texts, cuts.tolist(), strict=True)):
        before = ""
        if before_chars:
            # A token is rarely less than a character: these are enough.
            before = tokenizer.decode(ids[max(0, start - before_chars) : start])[-before_chars:]
        yield Chunk(*place, number, text, context, end - start, before)


def _context(texts: Sequence[str]) -> str:
    kept, length = [], 0
    for text in texts:
        kept.append(text)
        length += len(text)
        if length > _CONTEXT_CHARS:
            break
    return "".join(kept)[:_CONTEXT_CHARS]


def batches(found: Iterable[Chunk], size: int) -> Iterator[list[Chunk]]:
    """Chunks together until they have ``size`` characters."""
    batch: list[Chunk] = []
    length = 0
    for chunk in found:
        batch.append(chunk)
        length += len(chunk.text)
        if length >= size:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
