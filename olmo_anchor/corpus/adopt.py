"""Token files that were made elsewhere as a TOKENS_DIR (``olmo-anchor adopt``).

``dolma tokens``, open-instruct's SFT converter and Ai2's published memmaps write what OLMo-core
reads: headerless little-endian ids, label masks of one bool per id, a ``.csv.gz`` of document
bounds. They stay where and as they are. The folder that is written holds::

    token_ids_part_XXXX.csv.gz  start,end per document, for token files that have none beside them
    tokenizer/                  the tokenizer that made the ids
    manifest.json               kind "tokens": names the files by absolute path; written last

Every token is read once before: what ``olmo-anchor overlay`` would refuse is refused here.
"""

from __future__ import annotations

import gzip
import io
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.chat import TrainTurns
from olmo_anchor.corpus.adopt_check import MaskFacts, explain, scan_mask
from olmo_anchor.corpus.adopt_files import Found, choose_dtype, find_files
from olmo_anchor.corpus.overlay_scan import BoundsDisagree, Scan, scan_part
from olmo_anchor.corpus.token_files import Part, sampled_sha256
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import (
    FileRecord,
    Manifest,
    atomic_write,
    file_record,
    prepare_output,
)
from olmo_anchor.progress import Advance, progress
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["AdoptConfig", "Bounds", "summary"]

Bounds = Literal["csv", "end-of-text"]

_ROWS = 1 << 16
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptConfig:
    """Make a TOKENS_DIR of token files that stay where they are.

    :param inputs: headerless ``.npy`` files, or folders of them.
    :param tokenizer: a ``tokenizer.json``, a folder that holds one, or a hub id.
    :param masks: a glob for the label masks; without it, those beside the token files.
    :param dtype: of the ids; without it, the smallest that holds the vocabulary.
    :param train_turns: with masks: which trained runs of a conversation are chunks, and so get an
        annotation: the last, as in training (``final``), or each. It changes no mask: those of
        open-instruct train every assistant turn, of which training keeps the last by default.
    :param bounds: ``csv`` checks the ``.csv.gz`` beside a token file, where there is one, against
        the end-of-text tokens; ``end-of-text`` takes these alone, as OLMo-core does.
    """

    inputs: Sequence[Path]
    tokenizer: str
    out: Path
    masks: str | None = None
    dtype: str | None = None
    train_turns: TrainTurns = "final"
    bounds: Bounds = "csv"
    overwrite: bool = False

    def run(self) -> Manifest:
        """Read all tokens, then write; memory does not grow with the corpus.

        :raises InputError: when a file cannot be used as it is, or ``out`` exists; nothing was
            written.
        """
        began = time.monotonic()
        tokenizer = AnchorTokenizer.load(self.tokenizer)
        found, dtype = self._look(tokenizer)
        tokens = [one.ids.stat().st_size // dtype.itemsize for one in found]
        masked = found[0].mask is not None
        with TemporaryDirectory() as scratch:
            with progress("checking tokens", sum(tokens) * (1 + masked)) as advance:
                checked = [
                    _Checked.of(index, one, dtype, tokenizer, Path(scratch), advance)
                    for index, one in enumerate(found)
                ]
            prepare_output(self.out, overwrite=self.overwrite)
            entries = [one.entry(self.out) for one in checked]
        tokenizer.save(self.out / "tokenizer")
        manifest = self._manifest(tokenizer, dtype, checked, entries)
        manifest.seconds = round(time.monotonic() - began, 3)
        manifest.write(self.out)
        return manifest

    def plan(self) -> list[str]:
        """What :meth:`run` would take for what, in words; most tokens are not read."""
        tokenizer = AnchorTokenizer.load(self.tokenizer)
        found, dtype = self._look(tokenizer)
        lines = []
        for one in found:
            beside = [path.name for path in (one.mask, one.bounds) if path is not None]
            count = one.ids.stat().st_size // dtype.itemsize
            lines.append(f"{one.ids}: {count} tokens of {dtype.name}" + _with(beside))
        head = np.fromfile(found[0].ids, dtype, count=_SHOWN)
        lines.append(f"begins with: {tokenizer.decode(head)!r}")
        lines.append(f"would read all tokens, then write {self.out}")
        return lines

    # --- before anything is written --------------------------------------------------------------

    def _look(self, tokenizer: AnchorTokenizer) -> tuple[list[Found], np.dtype[Any]]:
        out = self.out
        if out.is_dir() and any(out.iterdir()) and not self.overwrite:
            raise InputError(f"{out}: exists and is not empty; --overwrite replaces it")
        found = find_files(self.inputs, self.masks)
        if self.bounds == "end-of-text":
            found = [Found(one.ids, one.mask, None) for one in found]
        for path in (path for one in found for path in (one.ids, one.mask, one.bounds) if path):
            if path.resolve().is_relative_to(out.resolve()):
                raise InputError(f"{path}: lies inside the output folder {out}")
        return found, choose_dtype(found, self.dtype, tokenizer)

    # --- what it was made from -------------------------------------------------------------------

    def _manifest(
        self,
        tokenizer: AnchorTokenizer,
        dtype: np.dtype[Any],
        checked: list[_Checked],
        entries: list[dict[str, Any]],
    ) -> Manifest:
        records = [entry[key] for entry in entries for key in ("ids", "mask", "csv") if entry[key]]
        adopted = [record for record in records if Path(record["path"]).is_absolute()]
        made = [record for record in records if record not in adopted]
        made += [file_record(path, self.out) for path in sorted((self.out / "tokenizer").iterdir())]
        config = asdict(self)
        config.update(inputs=[str(path) for path in self.inputs], out=str(self.out))
        chat = checked[0].mask is not None
        counts: Counter[str] = Counter()
        for one in checked:
            counts.update(one.counts())
        return Manifest(
            kind="tokens",
            inputs=adopted,
            config=config,
            counts={**counts, "parts": len(checked)},
            outputs=made,
            extra={
                "dtype": dtype.name,
                **tokenizer.facts(),
                "chat": chat,
                "train_turns": self.train_turns if chat else None,
                "adopted": True,
                "parts": entries,
            },
        )


@dataclass(frozen=True, slots=True)
class _Checked:
    """A token file that can carry an overlay."""

    index: int
    found: Found
    tokens: int
    scan: Scan
    starts: Path
    mask: MaskFacts | None

    @classmethod
    def of(
        cls,
        index: int,
        found: Found,
        dtype: np.dtype[Any],
        tokenizer: AnchorTokenizer,
        scratch: Path,
        advance: Advance,
    ) -> _Checked:
        tokens = found.ids.stat().st_size // dtype.itemsize
        bounds = found.bounds or found.ids
        mend = "name the tokenizer and the dtype that it was made with"
        part = Part(index, found.ids, found.mask, bounds, dtype, tokens, 0, {}, mend)
        starts, compare = scratch / str(index), found.bounds is not None
        control, vocab_size = tokenizer.control, tokenizer.vocab_size
        with starts.open("wb") as file:
            try:
                scan = scan_part(part, control, vocab_size, file, advance, compare=compare)
            except BoundsDisagree as error:
                raise InputError(f"{error}{explain(part, control, compare)}") from None
        mask = None
        if found.mask is not None:
            mask = scan_mask(found.mask, found.ids, tokens, np.fromfile(starts, "<i8"), advance)
        return cls(index, found, tokens, scan, starts, mask)

    def counts(self) -> dict[str, int]:
        counts = {
            "documents": self.scan.documents,
            "tokens": self.tokens,
            "empty_documents": self.scan.empty_documents,
            "bounds_made": int(self.found.bounds is None),
        }
        if self.mask is not None:
            counts["trained_tokens"] = self.mask.trained_tokens
            counts["documents_without_target"] = self.mask.documents_without_target
        return counts

    def entry(self, out: Path) -> dict[str, Any]:
        """The entry of the manifest; writes the document bounds where there are none."""
        return {
            "ids": _record(self.found.ids, self.scan.sha256),
            "mask": self.found.mask and self.mask and _record(self.found.mask, self.mask.sha256),
            "csv": file_record(self.found.bounds) if self.found.bounds else self._bounds(out),
            "documents": self.scan.documents,
            "tokens": self.tokens,
        }

    def _bounds(self, out: Path) -> FileRecord:
        path = out / f"token_ids_part_{self.index:04d}.csv.gz"
        write_bounds(path, np.fromfile(self.starts, "<i8"))
        return file_record(path, out)


def write_bounds(path: Path, starts: NDArray[np.int64]) -> None:
    """Write the ``start,end`` of each document.

    :param starts: ``[documents + 1]``, and the end of the last.
    """
    with (
        atomic_write(path) as raw,
        # Without a time and a name in its header the file is a function of its content alone.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="ascii") as file,
    ):
        for row in range(0, len(starts) - 1, _ROWS):
            cut = starts[row : row + _ROWS + 1].tolist()
            file.writelines(f"{a},{b}\n" for a, b in pairwise(cut))


def _record(path: Path, sha256: str) -> FileRecord:
    return {
        "path": str(path.resolve()),
        "size": path.stat().st_size,
        "sha256": sha256,
        "sampled_sha256": sampled_sha256(path),
    }


def _with(names: list[str]) -> str:
    return f", with {' and '.join(names)}" if names else ""


def summary(manifest: Manifest, out: Path) -> str:
    """What a person wants to know when it is done, with the next command."""
    counts = manifest.counts
    documents, tokens = counts["documents"], counts["tokens"]
    lines = [
        f"{out}: {documents:,} documents, {tokens:,} tokens in {counts['parts']} file(s) of "
        f"{manifest.extra['dtype']}, which stay where they are"
    ]
    if manifest.extra["chat"]:
        final = manifest.extra["train_turns"] == "final"
        lines.append(
            f"trained: {counts['trained_tokens'] / tokens:.1%} of the tokens, in every turn that "
            f"the masks mark; {counts['documents_without_target']:,} documents without a trained "
            f"token; to be annotated: {'the last' if final else 'every one'} of these turns"
        )
    if counts["empty_documents"]:
        lines.append(
            f"{counts['empty_documents']:,} documents hold nothing but their end-of-text: so it is "
            "where a chat template begins with that token, as OLMo-2's own does"
        )
    if counts["bounds_made"]:
        lines.append(
            f"document bounds of {counts['bounds_made']} file(s) are made from end-of-text tokens"
        )
    lines.append(f"next: olmo-anchor annotate {out} --annotator keyword --out ANNOTATIONS_DIR")
    return "\n".join(lines)
