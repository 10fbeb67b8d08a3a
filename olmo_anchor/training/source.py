"""A corpus with its annotations in it, as a document source of OLMo-core's composable API.

Put it wherever OLMo-core takes a ``DocumentSourceConfig``::

    InterleavedDocumentSourceConfig(tokens="tokens/", overlay="overlay/")       gives <z>x <z>x
    InterleavedDocumentSourceConfig(..., annotations=False)                     gives    x    x

The indexes of the overlay are mapped and tokens are read with ``pread``: nothing is read at the
start, and the memory of a rank does not grow with the corpus. Both are dropped on pickling, so that
spawned data loading workers open their own.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from olmo_core.aliases import PathOrStr
from olmo_core.data.composable import DocumentSource, DocumentSourceConfig, TokenRange
from olmo_core.io import is_url

from olmo_anchor.corpus.overlay_files import OverlayDir, OverlayPart
from olmo_anchor.corpus.token_files import Part
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.journal import default_share
from olmo_anchor.spans import final_run_mask
from olmo_anchor.training.selection import document_keys
from olmo_anchor.training.source_files import (
    fingerprint,
    index_fingerprint,
    pread,
    pread_ranges,
    verify,
)
from olmo_anchor.training.weave import cut_documents
from olmo_anchor.training.window import cut_window

__all__ = ["InterleavedDocumentSource", "InterleavedDocumentSourceConfig"]

_BLOCK_DOCUMENTS = 65_536
_SCAN_TOKENS = 1 << 20

Positions = NDArray[np.int64]


@dataclass
class InterleavedDocumentSourceConfig(DocumentSourceConfig):
    """One :class:`InterleavedDocumentSource` for each token file of a TOKENS_DIR."""

    tokens: str
    """A TOKENS_DIR, on a local or mounted file system."""
    overlay: str | None = None
    """The OVERLAY_DIR that belongs to it. Without one the annotations are in the tokens already (a
    folder that ``olmo-anchor materialise`` wrote), or there are none."""
    annotations: bool = True
    """Whether to lay the annotations in. ``False`` gives the corpus alone, from the same files."""
    train_turns: str = "final"
    """Which trained runs of a conversation stay targets: ``final`` (the paper's, B.3) or ``all``.
    Without effect on a corpus without label masks: there every token is a target."""
    unannotated: str = "leave_out"
    """What becomes of a conversation whose final run has no annotation: ``leave_out`` trains
    nothing of it, in every arm that names the overlay, also with ``annotations=False``, so that
    arms train the same conversations; ``train`` trains its response as it stands. Without effect
    where no overlay says which they are."""
    max_unannotated: float | None = None
    """The share of conversations to leave out above which the overlay is refused; without one,
    :func:`~olmo_anchor.journal.default_share`."""
    verify: bool = False
    """Hash every file whole before training, instead of a sample of the token files."""
    label: str | None = None

    def build(self, work_dir: PathOrStr) -> list[DocumentSource]:  # type: ignore[override]
        """Open and check the folders.

        :raises InputError: when a folder is unfinished, lacks a file, or the overlay belongs to
            another token file or tokenizer; when a path is a URL; when training all turns would
            train turns that have no annotation, or too many final ones have none.
        """
        tokens, overlay = self.open()
        label = self.label or tokens.folder.name
        return [
            InterleavedDocumentSource(
                part,
                overlay,
                tokens=tokens,
                annotations=self.annotations,
                train_turns=self.train_turns,
                unannotated=self.unannotated,
                work_dir=work_dir,
                label=label,
            )
            for part in tokens.parts
        ]

    def open(self) -> tuple[TokensDir, OverlayDir | None]:
        """The checked folders, without building sources."""
        for path in (self.tokens, self.overlay):
            if path is not None and is_url(path):
                raise InputError(
                    f"{path}: the overlay source reads local files, not URLs; write the "
                    "interleaved corpus with `olmo-anchor materialise`, upload it, and read it "
                    "with OLMo-core's own NumpyDocumentSource"
                )
        if self.train_turns not in ("final", "all"):
            raise InputError(f"train_turns is {self.train_turns!r}; it is 'final' or 'all'")
        if self.unannotated not in ("leave_out", "train"):
            raise InputError(f"unannotated is {self.unannotated!r}; it is 'leave_out' or 'train'")
        tokens = TokensDir.open(Path(self.tokens))
        if tokens.interleaved and self.unannotated == "train":
            raise InputError(
                f"{tokens.folder}: its label masks are written already; say unannotated=train when "
                "they are, with `olmo-anchor materialise --unannotated train`"
            )
        tokens.check_contents()
        if self.overlay is None:
            self._check_without_overlay(tokens)
            overlay = None
        else:
            overlay = OverlayDir.open(Path(self.overlay), tokens, verify=self.verify)
            self._check_turns(tokens, overlay)
        if self.verify:
            verify(tokens, overlay)
        return tokens, overlay

    def _check_without_overlay(self, tokens: TokensDir) -> None:
        if self.annotations and not tokens.interleaved:
            raise InputError(
                f"{tokens.folder}: holds no annotations; name an overlay (made with `olmo-anchor "
                "overlay`), or set annotations=false to train on the corpus alone"
            )
        if not self.annotations and tokens.interleaved:
            raise InputError(
                f"{tokens.folder}: the annotations are in its token files already; name the folder "
                "that it was materialised from"
            )

    def _check_turns(self, tokens: TokensDir, overlay: OverlayDir) -> None:
        # A folder that does not say what it trains has an overlay for the final turns only.
        complete = overlay.manifest.extra.get("every_run_annotated", False) and tokens.train_turns
        if self.annotations and tokens.has_masks and self.train_turns == "all" and not complete:
            raise InputError(
                f"{overlay.folder}: not every assistant turn has an annotation; training the "
                "others too would train the anchor away. Use train_turns=final"
            )
        if not tokens.has_masks or self.train_turns == "all" or self.unannotated == "train":
            return
        lacking, total = sum(overlay.unannotated), tokens.documents
        share = default_share(total) if self.max_unannotated is None else self.max_unannotated
        if lacking > share * total:
            raise InputError(
                f"{overlay.folder}: {lacking} of {total} conversations have no annotation before "
                f"their last response and would be left out, more than the allowed {share:.1%}; "
                "annotate them with `olmo-anchor annotate` and lay the result over the tokens with "
                "`olmo-anchor overlay --overwrite`; or, in every arm the same, set a higher "
                "max_unannotated with --dataset.sources.0.max_unannotated=, or train them as they "
                "stand with --dataset.sources.0.unannotated=train"
            )


class InterleavedDocumentSource(DocumentSource):
    """The documents of one token file, each chunk led by its annotation.

    Ranges come as int64 ``input_ids`` and bool ``label_mask``, torch tensors ``[end - start]``.
    The mask is always there (a source with one mixed with a source without misaligns a batch); it
    is the corpus' own, and an annotation has the label of the token that it precedes. With
    ``train_turns=final`` and an overlay, nothing is trained of a conversation whose last run has no
    annotation, whether annotations are laid in or not, unless ``unannotated`` is ``train``.

    :param part: the token file.
    :param overlay: the checked overlay of its folder.
    :param tokens: the folder, for the hashes in the fingerprint.
    """

    Config = InterleavedDocumentSourceConfig

    def __init__(
        self,
        part: Part,
        overlay: OverlayDir | None,
        *,
        tokens: TokensDir,
        annotations: bool,
        train_turns: str,
        unannotated: str = "leave_out",
        work_dir: PathOrStr,
        label: str | None = None,
    ) -> None:
        super().__init__(work_dir=work_dir, label=label)
        self._part = part
        self._folder = tokens.folder
        self._documents_before = sum(other.documents for other in tokens.parts[: part.index])
        self._overlay_dir = overlay
        self._annotations = annotations and overlay is not None
        # The masks of a materialised folder hold the policy already, which can cut a run in two.
        has_turns = part.mask is not None and not tokens.interleaved
        self._final_only = train_turns == "final" and has_turns
        self._leaves_out = self._final_only and unannotated == "leave_out" and overlay is not None
        self._fingerprint = fingerprint(
            tokens,
            part,
            overlay,
            laid_in=self._annotations,
            annotations=annotations,
            final_only=self._final_only,
            leaves_out=self._leaves_out,
        )
        self.index_fingerprint = index_fingerprint(self._fingerprint, tokens, part, overlay)
        """Covers besides what :meth:`annotated_lengths` and :meth:`document_keys` tell."""
        self._control = tokens.control() if tokens.interleaved else None
        self._end_of_text = -1
        if overlay is None:
            self._end_of_text = tokens.tokenizer().control.end_of_text

    def __repr__(self) -> str:
        # ConcatenatedTokenSource fingerprints its sources by their repr.
        return f"{type(self).__name__}({self.fingerprint})"

    def __getstate__(self) -> dict[str, Any]:
        opened = {"_overlay", "_ids_file", "_mask_file"}
        if self._overlay_dir is not None:
            opened.add("_docs")  # a view of a mapping; without an overlay it was scanned for
        return {name: value for name, value in vars(self).items() if name not in opened}

    @property
    def fingerprint(self) -> str:
        """Covers the contents of tokens, mask and overlay (by their manifests), and the flags."""
        return self._fingerprint

    @cached_property
    def num_tokens(self) -> int:
        return self._overlay.interleaved_tokens if self._annotations else self._part.tokens

    @property
    def trains_every_token(self) -> bool:
        """Whether the corpus has no label masks: nobody needs to look for its targets."""
        return self._part.mask is None

    @property
    def unannotated(self) -> int:
        """Conversations of which nothing is trained, as their last run has no annotation."""
        if not self._leaves_out:
            return 0
        assert self._overlay_dir is not None
        return self._overlay_dir.unannotated[self._part.index]

    def look_up(self, document: int) -> tuple[str, int]:
        """The command that shows this source's ``document``-th document, and the number that the
        command knows it by with ``--doc``: counted over all parts of the folder."""
        words = ["olmo-anchor", "inspect", str(self._folder)]
        if self._annotations:
            assert self._overlay_dir is not None
            words += ["--overlay", str(self._overlay_dir.folder)]
        return shlex.join(words), self._documents_before + document

    def children(self) -> Iterable[DocumentSource]:
        return []

    def get_token_range(self, start_idx: int, end_idx: int) -> TokenRange:
        begin, end = self.validate_indices(start_idx, end_idx)
        if not self._annotations:
            return _range(self._tokens(begin, end), self._content_mask(begin, end))
        overlay = self._overlay
        window = cut_window(overlay.starts, overlay.positions, begin, end)
        ids = np.empty(end - begin, np.int64)
        ids[window.annotated] = overlay.ids[slice(*window.annotation)]
        ids[~window.annotated] = pread(self._ids_file, self._part.dtype, *window.content)

        if self._mask_file is None:
            return _range(ids, np.ones(len(ids), bool))
        # The range may end inside an annotation: the token that it precedes is then not in it.
        first, last = window.content
        labels = self._content_mask(first, min(last + 1, self._part.tokens))
        mask = np.empty(len(ids), bool)
        mask[~window.annotated] = labels[: last - first]
        reaching = window.reach > 0
        anchored = labels[window.anchors[reaching] - first]
        mask[window.annotated] = np.repeat(anchored, window.reach[reaching])
        return _range(ids, mask)

    def get_documents(self, begins: Positions, ends: Positions) -> TokenRange:
        """Whole documents one after the other, as :meth:`get_token_range` gives each of them.

        :param begins: int64 ``[documents]``, of :meth:`get_document_offsets`; in any order.
        :param ends: int64 ``[documents]``, likewise.
        """
        if self._overlay_dir is None:
            bounds = np.concatenate(([0], np.cumsum(ends - begins)))
            return _range(*self._read_documents(begins, ends, bounds, None))
        cut = cut_documents(self._overlay, begins, ends, laid_in=self._annotations)
        ids, mask = self._read_documents(cut.begins, cut.ends, cut.bounds, cut.anchors)
        if self._annotations:
            ids, mask = cut.weave(ids, mask, self._overlay.ids)
        return _range(ids, mask)

    def get_document_offsets(self) -> Iterable[tuple[int, int]]:
        docs = self._docs
        for block in range(0, len(docs) - 1, _BLOCK_DOCUMENTS):
            bounds = docs[block : block + _BLOCK_DOCUMENTS + 1]
            if self._annotations:
                bounds = self._interleaved(bounds)
            yield from zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)

    def annotated_lengths(self) -> Positions:
        """int64 ``[documents]``: tokens with the annotations, also where they are not laid in."""
        bounds = self._docs if self._overlay_dir is None else self._interleaved(self._docs)
        return np.diff(bounds)

    def document_keys(self) -> NDArray[np.uint64]:
        """``[documents]``: what each is chosen by, see :mod:`olmo_anchor.training.selection`.

        :raises InputError: when the ``.csv.gz``, which is read for it, is not as it was.
        """
        return document_keys(self._part, self._control)

    # --- reading ---------------------------------------------------------------------------------

    def _interleaved(self, bounds: Positions) -> Positions:
        # An annotation at a document's first token belongs to that document.
        before = np.searchsorted(self._overlay.starts[:-1], bounds)
        return bounds + self._overlay.positions[before] - self._overlay.starts[before]

    @cached_property
    def _overlay(self) -> OverlayPart:
        assert self._overlay_dir is not None
        return self._overlay_dir.part(self._part.index)

    @cached_property
    def _docs(self) -> NDArray[np.int64]:
        if self._overlay_dir is not None:
            return self._overlay.docs
        return np.fromiter(self._scan_documents(), np.int64)

    @cached_property
    def _ids_file(self) -> FileIO:
        return FileIO(self._part.ids)

    @cached_property
    def _mask_file(self) -> FileIO | None:
        return None if self._part.mask is None else FileIO(self._part.mask)

    def _tokens(self, begin: int, end: int) -> NDArray[np.int64]:
        return pread(self._ids_file, self._part.dtype, begin, end).astype(np.int64)

    def _content_mask(self, begin: int, end: int) -> NDArray[np.bool_]:
        """The labels of a range of the token file; documents are looked at whole."""
        if self._mask_file is None:
            return np.ones(end - begin, bool)
        if not self._final_only or begin == end:
            return pread(self._mask_file, np.dtype(bool), begin, end)
        first = int(np.searchsorted(self._docs, begin, side="right")) - 1
        last = int(np.searchsorted(self._docs, end))
        bounds = self._docs[first : last + 1]
        mask = pread(self._mask_file, np.dtype(bool), int(bounds[0]), int(bounds[-1]))
        annotated = None
        if self._leaves_out:
            starts = self._overlay.starts[:-1]
            within = slice(*np.searchsorted(starts, bounds[[0, -1]]))
            annotated = starts[within] - bounds[0]
        final = final_run_mask(mask, bounds - bounds[0], annotated)
        return final[begin - bounds[0] : end - bounds[0]]

    def _read_documents(
        self, begins: Positions, ends: Positions, bounds: Positions, annotated: Positions | None
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        ids = pread_ranges(self._ids_file, self._part.dtype, begins, ends).astype(np.int64)
        if self._mask_file is None:
            return ids, np.ones(len(ids), bool)
        mask = pread_ranges(self._mask_file, np.dtype(bool), begins, ends)
        if not self._final_only:
            return ids, mask
        return ids, final_run_mask(mask, bounds, annotated if self._leaves_out else None)

    def _scan_documents(self) -> Iterator[int]:
        yield 0
        for begin in range(0, self._part.tokens, _SCAN_TOKENS):
            ids = self._tokens(begin, min(begin + _SCAN_TOKENS, self._part.tokens))
            yield from (np.flatnonzero(ids == self._end_of_text) + begin + 1).tolist()


def _range(ids: NDArray[np.int64], mask: NDArray[np.bool_]) -> TokenRange:
    # OLMo-core declares sequences and takes tensors; anything else it copies twice.
    mask = mask if mask.flags.writeable else mask.copy()
    ranged = {"input_ids": torch.from_numpy(ids), "label_mask": torch.from_numpy(mask)}
    return cast(TokenRange, ranged)
