"""One document per instance, padded: for backends on which packed documents would see each other.

The ``torch`` attention backend takes no document lengths. On a CPU a packed response would
therefore read the conversations before it; here every document has a row of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from olmo_core.aliases import PathOrStr
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import (
    DocumentSource,
    DocumentSourceConfig,
    Instance,
    InstanceSource,
    InstanceSourceConfig,
)
from olmo_core.data.composable.utils import as_tensor
from olmo_core.distributed.utils import barrier

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write, write_json
from olmo_anchor.training.source import InterleavedDocumentSource

__all__ = ["PaddedCounts", "PaddedInstanceSource", "PaddedInstanceSourceConfig"]

_NAMED = 8
_SCAN_TOKENS = 1 << 20
_WINDOW = 50
"""Groups whose documents are sorted by length together."""


@dataclass
class PaddedInstanceSourceConfig(InstanceSourceConfig):
    """Config of :class:`PaddedInstanceSource`."""

    sources: list[DocumentSourceConfig]
    sequence_length: int
    tokenizer: TokenizerConfig
    max_tokens: int | None = None
    """Whole documents from the start of the sources until this many tokens (padding not counted)
    are used, so that arms with and without annotations see the same number of tokens."""
    group_rows: int | None = None
    """Order the documents so that each run of this many has similar lengths. Set it to the rows of
    a global batch, and ``data_loader.shuffle=false``: with :class:`TrimPaddingCallback` little of
    a batch is then padding."""
    seed: int = 0
    """Of the order that ``group_rows`` asks for."""
    refuse_long: bool = False
    """Refuse documents that are longer than an instance, instead of cutting them. Post-training
    arms see the same conversations only if no annotation pushes the end of one out of its row."""
    label: str | None = None

    def build(self, work_dir: PathOrStr) -> PaddedInstanceSource:
        """:raises InputError: when the sources hold fewer tokens than ``max_tokens``, or a document
        is too long for ``refuse_long``.
        """
        return PaddedInstanceSource(
            *(source for config in self.sources for source in config.build(work_dir)),
            config=self,
            work_dir=work_dir,
        )


@dataclass(frozen=True)
class PaddedCounts:
    """What became of the documents.

    :param documents: that have an instance.
    :param tokens: in them, padding not counted.
    :param truncated: of these, the ones that were longer than an instance.
    :param untrained: left out, as nothing of them that is trained fits into an instance.
    :param unannotated: left out, as their sources train no response without its annotation.
    :param longest: tokens in the longest document that was looked at.
    """

    documents: int
    tokens: int
    truncated: int
    untrained: int
    unannotated: int
    longest: int


class PaddedInstanceSource(InstanceSource):
    """Instances of one document each; a longer one is cut at its end.

    An index (start and length by instance, int64) is written once into ``work_dir`` and mapped. For
    it the label masks are read through, except of a source that says ``trains_every_token``.
    """

    Config = PaddedInstanceSourceConfig

    def __init__(
        self, *sources: DocumentSource, config: PaddedInstanceSourceConfig, work_dir: PathOrStr
    ) -> None:
        label = config.label or (sources[0].label if sources else None)
        super().__init__(work_dir=work_dir, sequence_length=config.sequence_length, label=label)
        self.sources = sources
        self.pad_id = config.tokenizer.pad_token_id
        self._max_tokens = config.max_tokens
        self._refuse_long = config.refuse_long
        self._order = (config.group_rows, config.seed) if config.group_rows else None
        self._ends = np.cumsum([source.num_tokens for source in sources])
        if self.fs_local_rank == 0 and not self._counts_path.is_file():
            index, counts = self._build_index()
            with atomic_write(self._index_path) as file:
                np.save(file, index)
            write_json(self._counts_path, counts)
        barrier()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_index"}

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, idx: int) -> Instance:
        begin, length = self._index[self.validate_index(idx)].tolist()
        input_ids = torch.full((self.sequence_length,), self.pad_id, dtype=torch.int64)
        label_mask = torch.zeros(self.sequence_length, dtype=torch.bool)
        input_ids[:length], label_mask[:length] = self._read(begin, length)
        return cast(Instance, {"input_ids": input_ids, "label_mask": label_mask})

    @property
    def counts(self) -> PaddedCounts:
        """What became of the documents, as it was found when the index was made."""
        return PaddedCounts(**orjson.loads(self._counts_path.read_bytes()))

    def locate(self, indexes: Sequence[int], options: str = "") -> str:
        """The documents of some instances, and how to look at them.

        :param options: for ``olmo-anchor inspect``.
        """
        shown: dict[str, list[int]] = {}
        pieces = []
        for index in indexes[:_NAMED]:
            source, document = self._document(int(self._index[index, 0]))
            if isinstance(source, InterleavedDocumentSource):
                command, number = source.look_up(document)
                shown.setdefault(command, []).append(number)
            else:
                pieces.append(f"document {document} of {source.label}")
        for command, numbers in shown.items():
            names = ", ".join(map(str, numbers))
            words = "".join(f" --doc {number}" for number in numbers)
            pieces.append(f"documents {names} (see `{command}{options}{words}`)")
        more = len(indexes) - _NAMED
        return ", ".join(pieces) + (f" and {more} more" if more > 0 else "")

    @cached_property
    def fingerprint(self) -> str:
        facts = (self.sequence_length, self._max_tokens, self._order, self._refuse_long)
        children = [source.fingerprint for source in self.sources]
        return hashlib.sha256(repr((type(self).__name__, facts, children)).encode()).hexdigest()

    def children(self) -> Iterable[DocumentSource]:
        return self.sources

    # --- the index -------------------------------------------------------------------------------

    @property
    def _index_path(self) -> Path:
        return self.work_dir / f"documents-{self.fingerprint}.npy"

    @property
    def _counts_path(self) -> Path:
        return self._index_path.with_suffix(".json")

    @cached_property
    def _index(self) -> NDArray[np.int64]:
        return np.asarray(np.load(self._index_path, mmap_mode="r"))

    def _read(self, begin: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        number = int(np.searchsorted(self._ends, begin, side="right"))
        source = self.sources[number]
        begin -= int(self._ends[number]) - source.num_tokens
        document = source.get_token_range(begin, begin + length)
        ids = as_tensor(document["input_ids"])
        mask = document.get("label_mask")
        return ids, torch.ones(length, dtype=torch.bool) if mask is None else as_tensor(mask)

    def _document(self, begin: int) -> tuple[DocumentSource, int]:
        """The source of the document that begins there, and its number in it."""
        number = int(np.searchsorted(self._ends, begin, side="right"))
        source = self.sources[number]
        begin -= int(self._ends[number]) - source.num_tokens
        offsets = enumerate(source.get_document_offsets())
        return source, next(k for k, (first, _) in offsets if first == begin)

    def _build_index(self) -> tuple[NDArray[np.int64], dict[str, int]]:
        starts = self._ends - [source.num_tokens for source in self.sources]
        begins, ends, targets = np.concatenate(
            [_documents(source) + start for source, start in zip(self.sources, starts, strict=True)]
            or [np.zeros((0, 3), np.int64)]
        ).T
        lengths = ends - begins
        longest = int(lengths.max(initial=0))
        too_long = (lengths > self.sequence_length) & (targets < ends)
        if self._refuse_long and too_long.any():
            raise InputError(
                f"{self.label}: {too_long.sum()} of {len(lengths)} documents are longer than an "
                f"instance of {self.sequence_length} tokens (the longest has {longest}); set "
                "--dataset.sequence_length, --train_module.max_sequence_length and the batch size "
                "higher, or tokenize again with a smaller --max-length"
            )
        np.minimum(lengths, self.sequence_length, out=lengths)
        trained = targets < begins + lengths
        used = np.flatnonzero(trained)
        used = used[: self._budget(lengths[used])]
        unannotated = sum(getattr(source, "unannotated", 0) for source in self.sources)
        index = np.stack((begins[used], lengths[used]), axis=1)
        counts = {
            "documents": len(index),
            "tokens": int(index[:, 1].sum()),
            "truncated": int(too_long[used].sum()),
            "untrained": int((~trained).sum()) - unannotated,
            "unannotated": unannotated,
            "longest": longest,
        }
        if self._order is not None:
            index = index[_grouped_order(index[:, 1], *self._order)]
        return np.ascontiguousarray(index), counts

    def _budget(self, lengths: NDArray[np.int64]) -> int:
        if self._max_tokens is None:
            return len(lengths)
        total = np.cumsum(lengths)
        if not len(total) or total[-1] < self._max_tokens:
            raise InputError(
                f"{self.label}: holds {int(lengths.sum()):,} tokens, max_tokens asks for "
                f"{self._max_tokens:,}; set a smaller budget, in every arm the same, with "
                "--dataset.max_tokens="
            )
        return int(np.searchsorted(total, self._max_tokens, side="right"))


def _documents(source: DocumentSource) -> NDArray[np.int64]:
    """int64 ``[documents, 3]``: begin, end, and the first target, or the end where there is none.

    The first token of a row is never a target, so that of a document is none here.
    """
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
