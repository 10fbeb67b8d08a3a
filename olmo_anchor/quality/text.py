"""The text that an annotation is about, read back from the token files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.quality.read import Place

__all__ = ["TextReader"]


class TextReader:
    """Chunks by their place; asked in the order of the corpus it reads bounds and tokens once.

    :param min_chunk_tokens: of the annotations.
    """

    def __init__(self, tokens: TokensDir, min_chunk_tokens: int) -> None:
        self._tokens = tokens
        self._tokenizer = tokens.tokenizer()
        self._rule = ChunkRule.of(tokens, self._tokenizer, min_chunk_tokens)
        self._at = (-1, -1)
        self._rows: Iterator[tuple[int, int, str | None]] = iter(())
        self._ids: npt.NDArray[np.generic] = np.zeros(0, np.int64)
        self._cuts: npt.NDArray[np.int64] = np.zeros((0, 2), np.int64)

    def text(self, place: Place) -> str | None:
        """The text of a chunk; None when there is no such chunk."""
        part, doc, chunk = place
        if part >= len(self._tokens.parts) or doc >= self._tokens.parts[part].documents:
            return None
        if (part, doc) != self._at:
            self._read(part, doc)
        if chunk >= len(self._cuts):
            return None
        start, end = self._cuts[chunk]
        return self._tokenizer.decode(self._ids[start:end])

    def _read(self, part: int, doc: int) -> None:
        source = self._tokens.parts[part]
        if part != self._at[0] or doc < self._at[1]:
            self._rows, self._at = source.rows(), (part, -1)
        for number in range(self._at[1] + 1, doc + 1):
            start, end, _ = next(self._rows)
            self._at = part, number
        self._ids = source.read(start, end)
        self._cuts = self._rule.cuts(self._ids, source.read_mask(start, end))
