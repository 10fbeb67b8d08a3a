"""One document per instance, padded: for backends on which packed documents would see each other.

The ``torch`` attention backend takes no document lengths. On a CPU a packed response would
therefore read the conversations before it; here every document has a row of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from olmo_core.aliases import PathOrStr
from olmo_core.data.composable import Instance
from olmo_core.data.composable.utils import as_tensor

from olmo_anchor.errors import InputError
from olmo_anchor.training.documents import DocumentCounts, Documents, refuse_long_documents
from olmo_anchor.training.indexed import IndexedInstanceSource, IndexedInstanceSourceConfig

__all__ = ["PaddedInstanceSource", "PaddedInstanceSourceConfig"]

_WINDOW = 50
"""Groups whose documents are sorted by length together."""


@dataclass
class PaddedInstanceSourceConfig(IndexedInstanceSourceConfig):
    """Config of :class:`PaddedInstanceSource`."""

    max_tokens: int | None = None
    """Whole documents from the start of the sources until this many tokens (padding not counted)
    are used, so that arms with and without annotations see the same number of tokens."""
    group_rows: int | None = None
    """Order the documents so that each run of this many has similar lengths. Set it to the rows of
    a global batch, and ``data_loader.shuffle=false``: with :class:`TrimPaddingCallback` little of
    a batch is then padding."""
    seed: int = 0
    """Of the order that ``group_rows`` asks for."""

    def build(self, work_dir: PathOrStr) -> PaddedInstanceSource:
        """:raises InputError: when the sources hold fewer tokens than ``max_tokens``, or as
        :class:`IndexedInstanceSource`.
        """
        return PaddedInstanceSource(
            *(source for config in self.sources for source in config.build(work_dir)),
            config=self,
            work_dir=work_dir,
        )


class PaddedInstanceSource(IndexedInstanceSource):
    """Instances of one document each; a longer one is cut at its end.

    Its index has the start and the length of each instance.
    """

    Config = PaddedInstanceSourceConfig
    _ARRAYS = ("documents",)
    _config: PaddedInstanceSourceConfig

    def __len__(self) -> int:
        return len(self._index[0])

    def __getitem__(self, idx: int) -> Instance:
        begin, length = self._index[0][self.validate_index(idx)].tolist()
        input_ids = torch.full((self.sequence_length,), self.pad_id, dtype=torch.int64)
        label_mask = torch.zeros(self.sequence_length, dtype=torch.bool)
        source, start = self._source_at(begin)
        document = source.get_token_range(begin - start, begin - start + length)
        mask = document.get("label_mask")
        input_ids[:length] = as_tensor(document["input_ids"])
        label_mask[:length] = True if mask is None else as_tensor(mask)
        return cast(Instance, {"input_ids": input_ids, "label_mask": label_mask})

    # --- the index -------------------------------------------------------------------------------

    def _facts(self) -> tuple[Any, ...]:
        config = self._config
        order = (config.group_rows, config.seed) if config.group_rows else None
        return self.sequence_length, config.max_tokens, order, config.refuse_long

    def _begins(self, index: int) -> list[int]:
        return [int(self._index[0][index, 0])]

    def _build_index(
        self, documents: Documents
    ) -> tuple[tuple[NDArray[np.int64], ...], DocumentCounts]:
        begins, ends, targets = documents[:3]
        lengths = np.minimum(ends - begins, self.sequence_length)
        chosen, left_out = self._choose(documents, targets < begins + lengths)
        too_long = (ends - begins > lengths) & (targets < ends)
        if self._config.refuse_long:
            refused = too_long & documents.split & documents.share
            refuse_long_documents(self.label, self.sequence_length, ends - begins, refused)
        used = np.flatnonzero(chosen)
        used = used[: self._budget(lengths[used])]
        index = np.stack((begins[used], lengths[used]), axis=1)
        counts = DocumentCounts(
            documents=len(index),
            tokens=int(index[:, 1].sum()),
            truncated=int(too_long[used].sum()),
            longest=int((ends - begins).max(initial=0)),
            **left_out,
        )
        if self._config.group_rows:
            rows, seed = self._config.group_rows, self._config.seed
            index = index[_grouped_order(index[:, 1], rows, seed)]
        return (np.ascontiguousarray(index),), counts

    def _budget(self, lengths: NDArray[np.int64]) -> int:
        budget = self._config.max_tokens
        if budget is None:
            return len(lengths)
        total = np.cumsum(lengths)
        if not len(total) or total[-1] < budget:
            raise InputError(
                f"{self.label}: holds {int(lengths.sum()):,} tokens, max_tokens asks for "
                f"{budget:,}; set a smaller budget, in every arm the same, with "
                "--dataset.max_tokens="
            )
        return int(np.searchsorted(total, budget, side="right"))


def _grouped_order(lengths: NDArray[np.int64], rows: int, seed: int) -> NDArray[np.int64]:
    """A shuffled order in which each run of ``rows`` documents has similar lengths."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    for begin in range(0, len(order), rows * _WINDOW):
        window = order[begin : begin + rows * _WINDOW]
        window[:] = window[np.argsort(lengths[window], kind="stable")]
    groups = len(order) // rows
    shuffled = order[: groups * rows].reshape(groups, rows)[rng.permutation(groups)]
    return np.concatenate((shuffled.reshape(-1), order[groups * rows :]))
