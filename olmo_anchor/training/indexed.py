"""Instance sources that find their documents through an index in the working directory."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from olmo_core.aliases import PathOrStr
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import (
    DocumentSource,
    DocumentSourceConfig,
    InstanceSource,
    InstanceSourceConfig,
)
from olmo_core.distributed.utils import barrier

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write, write_json
from olmo_anchor.training.documents import DocumentCounts, Documents, find_documents
from olmo_anchor.training.selection import DocumentSelection
from olmo_anchor.training.source import InterleavedDocumentSource

__all__ = ["IndexedInstanceSource", "IndexedInstanceSourceConfig"]

_NAMED = 8

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass
class IndexedInstanceSourceConfig(InstanceSourceConfig):
    """What the configs of :class:`IndexedInstanceSource` have in common."""

    sources: list[DocumentSourceConfig]
    sequence_length: int
    tokenizer: TokenizerConfig
    refuse_long: bool = False
    """Refuse documents that are longer than an instance, instead of losing some of them or all.
    Post-training arms see the same conversations only if no annotation pushes the end of one out of
    its row."""
    selection: DocumentSelection | None = None
    """Which documents are used, of those that have a target; without one all of them."""
    label: str | None = None


class IndexedInstanceSource(InstanceSource):
    """Instances that are made of documents, which an index names.

    The index (int64 arrays) is written once by one process of each file system, and mapped. For it
    the label masks are read through, except of a source that says ``trains_every_token``.

    :raises InputError: when a document is too long for ``refuse_long``, or the selection leaves no
        document, or a source cannot tell what it asks for.
    """

    _ARRAYS: tuple[str, ...]
    """The names of the arrays that make up the index."""

    def __init__(
        self, *sources: DocumentSource, config: IndexedInstanceSourceConfig, work_dir: PathOrStr
    ) -> None:
        label = config.label or (sources[0].label if sources else None)
        super().__init__(work_dir=work_dir, sequence_length=config.sequence_length, label=label)
        self.sources = sources
        self.pad_id = config.tokenizer.pad_token_id
        self._config = config
        self._ends = np.cumsum([source.num_tokens for source in sources], dtype=np.int64)
        if self.fs_local_rank == 0 and not self._path("json").is_file():
            arrays, counts = self._build_index(find_documents(sources, config.selection))
            for name, array in zip(self._ARRAYS, arrays, strict=True):
                with atomic_write(self._path("npy", name)) as file:
                    np.save(file, array)
            # Written last: where it is, the index is whole.
            write_json(self._path("json"), asdict(counts))
        barrier()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_index"}

    @property
    def counts(self) -> DocumentCounts:
        """What became of the documents, as it was found when the index was made."""
        return DocumentCounts(**orjson.loads(self._path("json").read_bytes()))

    def locate(self, indexes: Sequence[int], options: str = "") -> str:
        """The documents of some instances, and how to look at them.

        :param options: for ``olmo-anchor inspect``.
        """
        begins = [begin for index in indexes for begin in self._begins(index)]
        shown: dict[str, list[int]] = {}
        pieces = []
        for begin in begins[:_NAMED]:
            source, document = self._document(begin)
            if isinstance(source, InterleavedDocumentSource):
                command, number = source.look_up(document)
                shown.setdefault(command, []).append(number)
            else:
                pieces.append(f"document {document} of {source.label}")
        for command, numbers in shown.items():
            names = ", ".join(map(str, numbers))
            words = "".join(f" --doc {number}" for number in numbers)
            pieces.append(f"documents {names} (see `{command}{options}{words}`)")
        more = len(begins) - _NAMED
        return ", ".join(pieces) + (f" and {more} more" if more > 0 else "")

    @cached_property
    def fingerprint(self) -> str:
        facts = self._facts()
        children = [source.fingerprint for source in self.sources]
        if self._config.selection is not None:
            facts += (astuple(self._config.selection), *map(index_fingerprint, self.sources))
        return hashlib.sha256(repr((type(self).__name__, facts, children)).encode()).hexdigest()

    def children(self) -> Iterable[DocumentSource]:
        return self.sources

    # --- what each kind has of its own -----------------------------------------------------------

    @abstractmethod
    def _facts(self) -> tuple[Any, ...]:
        """What the instances depend on, beside the documents and the selection."""

    @abstractmethod
    def _build_index(self, documents: Documents) -> tuple[tuple[Positions, ...], DocumentCounts]:
        """The arrays of the index."""

    @abstractmethod
    def _begins(self, index: int) -> list[int]:
        """Where the documents of an instance begin, in the sources laid end to end."""

    # --- the index -------------------------------------------------------------------------------

    def _path(self, suffix: str, name: str = "documents") -> Path:
        return self.work_dir / f"{name}-{self.fingerprint}.{suffix}"

    @cached_property
    def _index(self) -> tuple[Positions, ...]:
        paths = [self._path("npy", name) for name in self._ARRAYS]
        return tuple(np.asarray(np.load(path, mmap_mode="r")) for path in paths)

    def _choose(self, documents: Documents, trained: Mask) -> tuple[Mask, dict[str, int]]:
        """Which documents the selection leaves, and the counts of those that are left out.

        :param trained: which documents have a target in an instance.
        """
        split, share = documents.split, documents.share
        chosen = trained & split & share
        if (selection := self._config.selection) is not None and not chosen.any():
            higher = "held_out" if selection.split == "held_out" else "share"
            raise InputError(
                f"{self.label}: {selection} leaves none of {trained.sum()} documents, "
                f"{(trained & split).sum()} of which are in its split; set a higher "
                f"--dataset.selection.{higher}="
            )
        unannotated = sum(getattr(source, "unannotated", 0) for source in self.sources)
        return chosen, {
            "untrained": int((~trained).sum()) - unannotated,
            "unannotated": unannotated,
            "other_split": int((trained & ~split).sum()),
            "outside_share": int((trained & split & ~share).sum()),
        }

    def _source_at(self, begin: int) -> tuple[DocumentSource, int]:
        """The source that holds a token, and where it begins."""
        number = int(self._ends.searchsorted(begin, side="right"))
        source = self.sources[number]
        return source, int(self._ends[number]) - source.num_tokens

    def _document(self, begin: int) -> tuple[DocumentSource, int]:
        """The source of the document that begins there, and its number in it."""
        source, start = self._source_at(begin)
        offsets = enumerate(source.get_document_offsets())
        return source, next(k for k, (first, _) in offsets if first == begin - start)


def index_fingerprint(source: DocumentSource) -> str:
    """Of what an index may be made of, beside a source's tokens and masks."""
    if isinstance(source, InterleavedDocumentSource):
        return source.index_fingerprint
    return source.fingerprint
