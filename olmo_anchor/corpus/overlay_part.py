"""The annotations of one token file, written beside it; the format is in `overlay.py`."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.overlay_records import (
    OUT_OF_ORDER,
    AnnotationEncoder,
    Record,
    RecordReader,
)
from olmo_anchor.corpus.overlay_scan import scan_part
from olmo_anchor.corpus.token_files import Block, Part, sampled_sha256
from olmo_anchor.journal import Rejects
from olmo_anchor.manifest import atomic_write, file_record
from olmo_anchor.progress import Advance

__all__ = ["FILES", "OverlayPartWriter"]

FILES = ("ids", "starts", "positions", "docs")


class OverlayPartWriter:
    """Writes the four files of one part.

    :param vocab_size: of the tokenizer that made the token file.
    :param reader: stands at the part's first record; afterwards behind its last.
    """

    def __init__(
        self,
        out: Path,
        part: Part,
        rule: ChunkRule,
        encoder: AnnotationEncoder,
        vocab_size: int,
        reader: RecordReader,
        rejects: Rejects,
    ) -> None:
        self.out, self.part, self.rule, self.encoder = out, part, rule, encoder
        self.vocab_size, self.reader, self.rejects = vocab_size, reader, rejects
        self.counts = Counter[str](
            chunks=0,
            annotations=0,
            annotation_tokens=0,
            longest=0,
            untrained=0,
            left_out=0,
            unannotated=0,
        )
        self.name = f"part-{part.index:04d}"

    def write(self, advance: Advance) -> dict[str, Any]:
        """Check the token file, write, and return the part's entry of the manifest.

        :raises InputError: when the token file cannot carry an overlay.
        """
        out, part = self.out, self.part
        paths = {name: out / f"{self.name}.{name}.npy" for name in FILES}
        with ExitStack() as stack:
            files = {name: stack.enter_context(atomic_write(path)) for name, path in paths.items()}
            scan = scan_part(part, self.encoder.control, self.vocab_size, files["docs"], advance)
            for block in part.blocks():
                self._block(block, files)
            files["starts"].write(np.array([part.tokens], "<i8").tobytes())
            end = part.tokens + self.counts["annotation_tokens"]
            files["positions"].write(np.array([end], "<i8").tobytes())
        return {
            "name": self.name,
            **{name: file_record(path, out) for name, path in paths.items()},
            "token_file": {
                "path": str(part.ids.resolve()),
                "size": part.ids.stat().st_size,
                "sha256": scan.sha256,
                "sampled_sha256": sampled_sha256(part.ids),
            },
            "tokens": part.tokens,
            "documents": scan.documents,
            "empty_documents": scan.empty_documents,
            "documents_without_target": self.counts["untrained"],
            "runs_left_out": self.counts["left_out"],
            "chunks": self.counts["chunks"],
            "annotations": self.counts["annotations"],
            "annotation_tokens": self.counts["annotation_tokens"],
            "longest_annotation": self.counts["longest"],
            "unannotated": self.counts["unannotated"],
        }

    def _block(self, block: Block, files: dict[str, IO[bytes]]) -> None:
        records = self.reader.until(self.part.index, block.first + len(block))
        by_document = groupby(records, key=lambda record: record.doc)
        doc, group = next(by_document, (-1, iter(())))
        kept: list[tuple[int, Record]] = []
        final: list[int] = []
        for k in range(len(block)):
            ids, mask = block.document(k)
            cuts = self.rule.cuts(ids, mask)
            self.counts["chunks"] += len(cuts)
            self.counts["left_out"] += self.rule.runs_left_out(mask)
            self.counts["untrained"] += int(mask is not None and not mask.any())
            if self.rule.by_mask and len(cuts):
                final.append(int(block.bounds[k] + cuts[-1, 0]))
            if doc != block.first + k:
                continue
            taken = -1
            for record in group:
                if reason := self._fault(record, block.names[k], cuts, taken):
                    self.rejects.add(reason, **record.where())
                else:
                    taken = record.chunk
                    kept.append((int(block.bounds[k] + cuts[record.chunk, 0]), record))
            doc, group = next(by_document, (-1, iter(())))
        starts = self._append(kept, files)
        self.counts["unannotated"] += len(np.setdiff1d(final, starts))

    def _fault(
        self, record: Record, name: str | None, cuts: NDArray[np.int64], taken: int
    ) -> str | None:
        if record.id is not None and name is not None and record.id != name:
            return "its id is not that of the document at its place"
        if record.chunk >= len(cuts):
            if self.rule.final_only and len(cuts):
                return "only the last trained run has an annotation (train_turns=final)"
            return "there is no such chunk"
        if record.chunk == taken:
            return "a second record for its chunk"
        return OUT_OF_ORDER if record.chunk < taken else None

    def _append(
        self, kept: list[tuple[int, Record]], files: dict[str, IO[bytes]]
    ) -> NDArray[np.int64]:
        """Write what can be encoded, and tell where it stands."""
        encoded: list[tuple[int, Record, list[int], list[int]]] = []
        for start, record in kept:
            try:
                encoded.append((start, record, *self.encoder.encode(record.annotation)))
            except ValueError as error:
                self.rejects.add(str(error), **record.where())
        misread = self.encoder.misread([e[2] for e in encoded], [e[3] for e in encoded])
        for k in misread.tolist():
            self.rejects.add(
                "its structure cannot be read back from its ids", **encoded[k][1].where()
            )
        bad = set(misread.tolist())
        good = [one for k, one in enumerate(encoded) if k not in bad]
        if not good:
            return np.zeros(0, np.int64)
        lengths = np.array([len(one[2]) for one in good])
        starts = np.array([one[0] for one in good], np.int64)
        before = self.counts["annotation_tokens"] + np.cumsum(lengths) - lengths
        files["ids"].write(np.concatenate([one[2] for one in good]).astype("<u4").tobytes())
        files["starts"].write(starts.astype("<i8").tobytes())
        files["positions"].write((starts + before).astype("<i8").tobytes())
        self.counts["annotations"] += len(good)
        self.counts["annotation_tokens"] += int(lengths.sum())
        self.counts["longest"] = max(self.counts["longest"], int(lengths.max()))
        return starts
