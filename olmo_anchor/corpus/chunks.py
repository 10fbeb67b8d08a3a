"""Which stretches of a document get an annotation: one rule for annotating and for the overlay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.spans import NewlineTable, chunk_starts, trained_runs
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["ChunkRule"]


@dataclass(frozen=True, slots=True)
class ChunkRule:
    """How documents are cut into chunks.

    :param table: of the tokenizer that made the ids.
    :param end_of_text: the id that ends a document; it belongs to the last chunk, and is not shown.
    :param by_mask: conversations: a chunk is a run of trained tokens.
    :param final_only: of these, only the last one (``train_turns=final``).
    :param min_tokens: documents: a shorter chunk is joined to the next.
    """

    table: NewlineTable
    end_of_text: int
    by_mask: bool = False
    final_only: bool = False
    min_tokens: int = 0

    @classmethod
    def of(cls, tokens: TokensDir, tokenizer: AnchorTokenizer, min_tokens: int = 0) -> ChunkRule:
        return cls(
            tokenizer.newlines,
            tokenizer.control.end_of_text,
            by_mask=tokens.chat,
            final_only=tokens.chat and tokens.train_turns != "all",
            min_tokens=min_tokens,
        )

    def cuts(self, ids: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """Start and end of each chunk of one document, int64 ``[chunks, 2]``.

        :param ids: ``[n]``, with its end-of-text token, which no chunk contains.
        :param mask: bool ``[n]``, the corpus' label mask; needed with ``by_mask``.
        """
        length = len(ids) - int(len(ids) > 0 and ids[-1] == self.end_of_text)
        if self.by_mask:
            assert mask is not None
            runs = trained_runs(mask)
            runs = runs[-1:] if self.final_only else runs
            return np.minimum(runs, [[len(ids), length]])
        starts = chunk_starts(ids[:length], self.table, min_tokens=self.min_tokens)
        return np.stack((starts, np.append(starts[1:], length)[: len(starts)]), axis=1)

    def runs_left_out(self, mask: NDArray[np.bool_] | None) -> int:
        """Trained runs of a conversation that are no chunk of it: with ``final_only`` the earlier.

        The masks of ``olmo-anchor tokenize`` have none; those of other pipelines mark every turn.
        """
        if mask is None or not self.final_only:
            return 0
        return max(0, len(trained_runs(mask)) - 1)
