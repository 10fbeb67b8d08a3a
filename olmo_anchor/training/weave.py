"""Whole documents with their annotations, several at once: arithmetic, no reading.

Packed instances hold dozens of short documents from all over a token file. Taken together they cost
a few operations on arrays, and not as many for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.overlay_files import OverlayPart

__all__ = ["Woven", "cut_documents"]

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Woven:
    """Some documents of a token file, laid end to end, and the annotations on them.

    :param begins: int64 ``[documents]``, where each begins in the token file.
    :param ends: where it ends there.
    :param bounds: int64 ``[documents + 1]``, where each begins when they are laid end to end, then
        the end of the last.
    :param anchors: int64 ``[annotations]``, the token before which each annotation stands, in the
        documents laid end to end.
    :param lengths: int64 ``[annotations]``, its tokens.
    :param pieces: for each document, where its annotations begin and end in the overlay's ids.
    """

    begins: Positions
    ends: Positions
    bounds: Positions
    anchors: Positions
    lengths: Positions
    pieces: list[tuple[int, int]]

    def weave(
        self, ids: NDArray[np.int64], mask: Mask, annotations: NDArray[Any]
    ) -> tuple[NDArray[np.int64], Mask]:
        """Lay the annotations in.

        :param ids: ``[bounds[-1]]``, the documents' tokens.
        :param mask: their labels; an annotation has the label of the token that it precedes.
        :param annotations: the overlay's ids.
        """
        # Text, annotation, text, ..., text.
        lengths = np.empty(2 * len(self.anchors) + 1, np.int64)
        lengths[1::2] = self.lengths
        lengths[0:-1:2], lengths[-1] = self.anchors, len(ids)
        lengths[2::2] -= self.anchors
        kinds = np.zeros(len(lengths), np.bool_)
        kinds[1::2] = True
        annotated = kinds.repeat(lengths)

        text = ~annotated
        both = np.empty(len(annotated), np.int64)
        both[text] = ids
        both[annotated] = np.concatenate([annotations[begin:end] for begin, end in self.pieces])
        labels = np.empty(len(annotated), np.bool_)
        labels[text] = mask
        labels[annotated] = mask[self.anchors].repeat(self.lengths)
        return both, labels


def cut_documents(
    overlay: OverlayPart, begins: Positions, ends: Positions, *, laid_in: bool
) -> Woven:
    """Find documents in the token file, and their annotations; the cost does not depend on the
    corpus.

    :param begins: int64 ``[documents]``, where each begins: in the interleaved stream where
        ``laid_in``, otherwise in the token file.
    :param ends: where it ends.
    """
    starts, positions = overlay.starts, overlay.positions
    # An annotation that stands at a document's first token belongs to that document.
    stand = (positions if laid_in else starts)[:-1]
    first, last = stand.searchsorted(begins), stand.searchsorted(ends)
    before, after = positions[first] - starts[first], positions[last] - starts[last]
    if laid_in:
        begins, ends = begins - before, ends - after
    bounds = np.zeros(len(begins) + 1, np.int64)
    np.cumsum(ends - begins, out=bounds[1:])

    counts = last - first
    numbers = np.arange(counts.sum()) + (last - counts.cumsum()).repeat(counts)
    anchors = starts[numbers]
    lengths = positions[numbers + 1] - starts[numbers + 1] - (positions[numbers] - anchors)
    anchors += (bounds[:-1] - begins).repeat(counts)
    pieces = list(zip(before.tolist(), after.tolist(), strict=True))
    return Woven(begins, ends, bounds, anchors, lengths, pieces)
