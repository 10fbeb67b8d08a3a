"""Which tokens of a range of the interleaved stream are annotations: arithmetic, no reading."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Window", "cut_window"]

Positions = NDArray[np.int64]


class Window(NamedTuple):
    """A range ``[begin, end)`` of the interleaved stream, taken apart.

    :param annotated: bool ``[end - begin]``, True at tokens of annotations.
    :param content: the range of the token file that fills the rest.
    :param annotation: the range of the overlay's ids that fills the annotated tokens.
    :param anchors: int64 ``[annotations]``, for each annotation that may reach into the range the
        token of the file that it precedes.
    :param reach: int64 ``[annotations]``, how many of its tokens lie in the range.
    """

    annotated: NDArray[np.bool_]
    content: tuple[int, int]
    annotation: tuple[int, int]
    anchors: Positions
    reach: Positions


def cut_window(starts: Positions, positions: Positions, begin: int, end: int) -> Window:
    """Take a range of the interleaved stream apart; the cost does not depend on the corpus.

    :param starts: ``[annotations + 1]`` of an overlay: where each annotation stands in the token
        file, then the file's length.
    :param positions: ``[annotations + 1]``: where it begins in the interleaved stream, then the
        stream's length.
    """
    # From the last annotation that begins at or before the range to the last that begins inside.
    after, last = positions[:-1].searchsorted((begin + 1, end)).tolist()
    first = max(after - 1, 0)
    anchors = starts[first:last]
    offsets = positions[first : last + 1] - starts[first : last + 1]

    # Text up to the first annotation, the annotation, text, ...: where each of them ends. Only the
    # first annotation can begin or end before the range, only the last can end after it.
    cuts = np.empty(2 * len(anchors) + 2, np.int64)
    cuts[1:-1:2] = positions[first:last]
    cuts[2:-1:2] = anchors + offsets[1:]
    skipped = 0
    if len(anchors):
        opened, closed = int(cuts[1]), int(cuts[2])
        skipped = int(offsets[0]) + min(max(begin - opened, 0), closed - opened)
        cuts[1:3] = max(opened, begin), max(closed, begin)
        cuts[-2] = min(int(cuts[-2]), end)
    cuts[0], cuts[-1] = begin, end
    lengths: Positions = cuts[1:] - cuts[:-1]
    kinds = np.zeros(len(lengths), np.bool_)
    kinds[1::2] = True
    annotated = kinds.repeat(lengths)

    taken = int(np.count_nonzero(annotated))
    content = begin - skipped
    return Window(
        annotated,
        (content, content + (end - begin) - taken),
        (skipped, skipped + taken),
        anchors,
        lengths[1::2],
    )
