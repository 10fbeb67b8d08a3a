"""The chunks of a corpus with their text, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from olmo_anchor.annotate.base import Chunk
from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["batches", "chunks"]

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
                cuts = rule.cuts(ids, mask)
                texts = [tokenizer.decode(ids[start:end]) for start, end in cuts]
                context = _context(texts)
                for number, text in enumerate(texts):
                    before = ""
                    if before_chars:
                        # A token is rarely less than a character: these are enough.
                        near = ids[max(0, cuts[number][0] - before_chars) : cuts[number][0]]
                        before = tokenizer.decode(near)[-before_chars:]
                    place = (source.index, block.first + k, name, number)
                    end = int(block.bounds[k] + cuts[number][1])
                    yield Chunk(*place, text, context, end, before)
        doc = 0


def _context(texts: Sequence[str]) -> str:
    kept, length = [], 0
    for text in texts:
        kept.append(text)
        length += len(text)
        if length > _CONTEXT_CHARS:
            break
    return "".join(kept)[:_CONTEXT_CHARS]


def batches(found: Iterable[Chunk], size: int, skip: int = 0) -> Iterator[list[Chunk]]:
    """Chunks together until they have ``size`` characters.

    :param skip: so many chunks at the beginning are left out.
    """
    batch: list[Chunk] = []
    length = 0
    for chunk in islice(found, skip, None):
        batch.append(chunk)
        length += len(chunk.text)
        if length >= size:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
