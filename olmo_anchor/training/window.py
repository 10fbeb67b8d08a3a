"""Which tokens of a range of the interleaved stream are annotations: arithmetic, no reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Window", "cut_window"]

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
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
    first = max(int(np.searchsorted(positions[:-1], begin, side="right")) - 1, 0)
    last = max(int(np.searchsorted(positions[:-1], end)), first)
    opens = positions[first:last]
    offsets = positions[first : last + 1] - starts[first : last + 1]

    cuts = np.empty(2 * len(opens) + 2, np.int64)
    cuts[0], cuts[-1] = begin, end
    cuts[1:-1:2] = opens
    cuts[2:-1:2] = opens + np.diff(offsets)
    cuts = np.clip(cuts, begin, end)
    lengths: Positions = cuts[1:] - cuts[:-1]
    reach = lengths[1::2]
    annotated = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)

    skipped = 0
    if len(opens):
        skipped = int(offsets[0] + np.clip(begin - opens[0], 0, offsets[1] - offsets[0]))
    taken = int(reach.sum())
    content = begin - skipped
    return Window(
        annotated,
        (content, content + (end - begin) - taken),
        (skipped, skipped + taken),
        starts[first:last],
        reach,
    )
