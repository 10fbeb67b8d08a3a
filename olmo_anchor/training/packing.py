"""Whole documents packed into instances: for flash attention, which keeps them apart by length.

Set ``generate_doc_lengths=True`` in the data loader: without document lengths a document reads the
ones before it in its row. No document is ever cut.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from olmo_core.aliases import PathOrStr
from olmo_core.data.composable import DocumentSource, Instance
from olmo_core.data.composable.utils import as_tensor

from olmo_anchor.training.documents import DocumentCounts, Documents, refuse_long_documents
from olmo_anchor.training.indexed import (
    IndexedInstanceSource,
    IndexedInstanceSourceConfig,
    index_fingerprint,
)
from olmo_anchor.training.source import InterleavedDocumentSource

__all__ = ["PackedInstanceSource", "PackedInstanceSourceConfig", "best_fit"]


@dataclass
class PackedInstanceSourceConfig(IndexedInstanceSourceConfig):
    """Config of :class:`PackedInstanceSource`. A document that is longer than an instance is left
    out and counted, or refused with ``refuse_long``."""

    def build(self, work_dir: PathOrStr) -> PackedInstanceSource:
        """:raises InputError: as :class:`IndexedInstanceSource`, and when no document fits."""
        return PackedInstanceSource(
            *(source for config in self.sources for source in config.build(work_dir)),
            config=self,
            work_dir=work_dir,
        )


class PackedInstanceSource(IndexedInstanceSource):
    """Instances of as many whole documents as fit, the longest first, then padding.

    Each source is packed by itself, into the bins of OLMo-core's ``InstancePacker`` (best-fit
    decreasing, arXiv 2404.10830); of documents of equal length the earlier comes first.

    Documents are packed by their *annotated* lengths whenever their source has an overlay, also
    with ``annotations=False``: then both arms have the same documents in every row, and so in every
    step, and the standard arm has more padding. Against a folder that ``olmo-anchor materialise``
    wrote, the same holds for a standard arm that names the folder and the overlay that it was made
    from. A standard arm without an overlay is packed by its own lengths, into other and fewer rows.

    The index has the start and the length of each document, in the order of the instances, and the
    number of documents before each instance.
    """

    Config = PackedInstanceSourceConfig
    _ARRAYS = ("documents", "instances")
    _config: PackedInstanceSourceConfig

    def __len__(self) -> int:
        return len(self._index[1]) - 1

    def __getitem__(self, idx: int) -> Instance:
        begins, ends = self._ranges(self.validate_index(idx))
        source, start = self._source_at(int(begins[0]))
        input_ids = torch.full((self.sequence_length,), self.pad_id, dtype=torch.int64)
        label_mask = torch.zeros(self.sequence_length, dtype=torch.bool)
        length = int((ends - begins).sum())
        input_ids[:length], label_mask[:length] = _read(source, begins - start, ends - start)
        return cast(Instance, {"input_ids": input_ids, "label_mask": label_mask})

    # --- the index -------------------------------------------------------------------------------

    def _facts(self) -> tuple[Any, ...]:
        config, sources = self._config, self.sources
        return self.sequence_length, config.refuse_long, *map(index_fingerprint, sources)

    def _begins(self, index: int) -> list[int]:
        begins: list[int] = self._ranges(index)[0].tolist()
        return begins

    def _ranges(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        documents, instances = self._index
        begins, lengths = documents[instances[index] : instances[index + 1]].T
        return begins, begins + lengths

    def _build_index(
        self, documents: Documents
    ) -> tuple[tuple[NDArray[np.int64], ...], DocumentCounts]:
        begins, ends, targets = documents[:3]
        lengths = np.concatenate(
            [_packed_lengths(source) for source in self.sources] or [ends - begins]
        )
        chosen, left_out = self._choose(documents, targets < ends)
        fits = lengths <= self.sequence_length
        used = chosen & fits
        if self._config.refuse_long or not used.any():
            refuse_long_documents(self.label, self.sequence_length, lengths, chosen & ~fits)
        order, sizes = [np.zeros(0, np.int64)], [np.zeros(1, np.int64)]
        first = 0
        for end in begins.searchsorted(self._ends).tolist():
            of_source = np.flatnonzero(used[first:end]) + first
            # Stable: numpy's own order of equal lengths differs from one processor to the next.
            of_source = of_source[np.argsort(-lengths[of_source], kind="stable")]
            bins = best_fit(lengths[of_source], self.sequence_length)
            order.append(of_source[np.argsort(bins, kind="stable")])
            sizes.append(np.bincount(bins))
            first = end
        packed = np.concatenate(order)
        index = np.stack((begins[packed], (ends - begins)[packed]), axis=1)
        counts = DocumentCounts(
            documents=len(index),
            tokens=int(index[:, 1].sum()),
            truncated=0,
            longest=int(lengths.max(initial=0)),
            too_long=int((chosen & ~fits).sum()),
            **left_out,
        )
        return (index, np.cumsum(np.concatenate(sizes))), counts


def best_fit(lengths: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
    """The number of the bin of each document: the fullest in which it fits, the first of equals.

    The bins of OLMo-core's ``InstancePacker``, which takes powers of two alone. Which spaces are
    left is a set of bits, so that the smallest that is large enough is two operations away.

    :param lengths: ``[documents]``, from 1 to ``capacity``, falling.
    """
    bins = np.empty(len(lengths), np.int64)
    with_space: defaultdict[int, deque[int]] = defaultdict(deque)
    spaces = opened = 0
    for document, length in enumerate(lengths.tolist()):
        enough = spaces >> length
        if enough:
            space = length + (enough & -enough).bit_length() - 1
            found = with_space[space]
            bin_ = found.popleft()
            if not found:
                spaces ^= 1 << space
        else:
            space, bin_ = capacity, opened
            opened += 1
        bins[document] = bin_
        if left := space - length:
            with_space[left].append(bin_)
            spaces |= 1 << left
    return bins


def _packed_lengths(source: DocumentSource) -> NDArray[np.int64]:
    if isinstance(source, InterleavedDocumentSource):
        return source.annotated_lengths()
    return np.array([end - begin for begin, end in source.get_document_offsets()], np.int64)


def _read(
    source: DocumentSource, begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[torch.Tensor, torch.Tensor]:
    if isinstance(source, InterleavedDocumentSource):
        whole = source.get_documents(begins, ends)
        return as_tensor(whole["input_ids"]), as_tensor(whole["label_mask"])
    ranges = zip(begins.tolist(), ends.tolist(), strict=True)
    documents = [source.get_token_range(*range_) for range_ in ranges]
    ids = torch.cat([as_tensor(document["input_ids"]) for document in documents])
    if "label_mask" not in documents[0]:
        return ids, torch.ones(len(ids), dtype=torch.bool)
    return ids, torch.cat([as_tensor(document["label_mask"]) for document in documents])
