"""Which documents of a dataset are used: what padded and packed instances have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from olmo_core.data.composable import DocumentSource

from olmo_anchor.errors import InputError
from olmo_anchor.training.selection import DocumentSelection
from olmo_anchor.training.source import InterleavedDocumentSource

__all__ = ["DocumentCounts", "Documents", "find_documents", "refuse_long_documents"]

_SCAN_TOKENS = 1 << 20

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class DocumentCounts:
    """What became of the documents. Each is counted once: as used, or under its first reason.

    :param documents: that are used.
    :param tokens: in them, padding not counted.
    :param truncated: of these, the ones that were longer than an instance and are cut.
    :param untrained: left out, as nothing of them that is trained fits into an instance.
    :param unannotated: left out, as their sources train no response without its annotation.
    :param longest: tokens in the longest document that was looked at.
    :param too_long: left out, as they are longer than an instance and must not be cut.
    :param other_split: left out, as the selection takes the other split.
    :param outside_share: left out, as the selection takes a smaller share of the split.
    """

    documents: int
    tokens: int
    truncated: int
    untrained: int
    unannotated: int
    longest: int
    too_long: int = 0
    other_split: int = 0
    outside_share: int = 0


class Documents(NamedTuple):
    """All documents of some sources that are laid end to end; each ``[documents]``.

    :param begins: int64, where each begins.
    :param ends: int64, where it ends.
    :param targets: int64, its first target, or its end where it has none. The first token of a row
        is never a target, so that of a document is none here.
    :param split: bool, whether the selection's split has it.
    :param share: bool, whether the selection's share has it.
    """

    begins: Positions
    ends: Positions
    targets: Positions
    split: Mask
    share: Mask


def find_documents(
    sources: Sequence[DocumentSource], selection: DocumentSelection | None
) -> Documents:
    """Look at every document; reads label masks and, for a selection, ids of documents.

    :raises InputError: when there is a selection, and a source that does not name its documents.
    """
    found, keys, start = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.uint64)], 0
    for source in sources:
        found.append(_documents(source) + start)
        start += source.num_tokens
        if selection is not None:
            keys.append(_keys(source))
    begins, ends, targets = np.concatenate(found).T
    everything = np.ones(len(begins), np.bool_)
    split, share = everything, everything
    if selection is not None:
        split, share = selection.choose(np.concatenate(keys))
    return Documents(begins, ends, targets, split, share)


def refuse_long_documents(
    label: str | None, sequence_length: int, lengths: Positions, too_long: Mask
) -> None:
    """:raises InputError: when a document is too long."""
    if too_long.any():
        raise InputError(
            f"{label}: {too_long.sum()} of {len(lengths)} documents are longer than an "
            f"instance of {sequence_length} tokens (the longest has {lengths[too_long].max()}); "
            "set --dataset.sequence_length, --train_module.max_sequence_length and the batch size "
            "higher, or tokenize again with a smaller --max-length"
        )


def _keys(source: DocumentSource) -> NDArray[np.uint64]:
    if not isinstance(source, InterleavedDocumentSource):
        raise InputError(
            f"{source.label}: a {type(source).__name__} does not name its documents, so none can "
            "be selected; read the token files with InterleavedDocumentSource (`olmo-anchor adopt` "
            "takes those of other pipelines), or leave the selection out"
        )
    return source.document_keys()


def _documents(source: DocumentSource) -> Positions:
    """int64 ``[documents, 3]``: begin, end, and the first target."""
    offsets = np.fromiter(chain.from_iterable(source.get_document_offsets()), np.int64)
    begins, ends = offsets.reshape(-1, 2).T
    targets = np.minimum(begins + 1, ends)
    first = 0
    while first < len(begins) and not getattr(source, "trains_every_token", False):
        last = int(np.searchsorted(ends, begins[first] + _SCAN_TOKENS, side="right"))
        block = slice(first, max(last, first + 1))
        begin, end = int(begins[first]), int(ends[block][-1])
        mask = source.get_token_range(begin, end).get("label_mask")
        if mask is None:  # then no range of this source has one
            break
        trained = np.append(np.flatnonzero(np.asarray(mask)) + begin, end)
        following = trained[np.searchsorted(trained[:-1], targets[block])]
        targets[block] = np.minimum(following, ends[block])
        first = block.stop
    return np.stack((begins, ends, targets), axis=1)
