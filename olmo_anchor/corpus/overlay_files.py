"""Reading an OVERLAY_DIR; its format is told in :mod:`olmo_anchor.corpus.overlay`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.token_files import Block, Part, sampled_sha256
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import Manifest, read_manifest, sha256_file
from olmo_anchor.spans import ControlIds

__all__ = ["Interleaved", "OverlayDir", "OverlayPart", "interleave"]


@dataclass(frozen=True, slots=True)
class OverlayPart:
    """The annotations of one token file.

    :param ids: uint32, all annotations one after the other.
    :param starts: int64 ``[annotations + 1]``, in the token file.
    :param positions: int64 ``[annotations + 1]``, in the interleaved stream.
    :param docs: int64 ``[documents + 1]``, in the token file.
    """

    ids: NDArray[np.uint32]
    starts: NDArray[np.int64]
    positions: NDArray[np.int64]
    docs: NDArray[np.int64]

    @property
    def annotations(self) -> int:
        return len(self.starts) - 1

    @property
    def interleaved_tokens(self) -> int:
        return int(self.positions[-1])


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Documents with their annotations in them.

    :param bounds: int64 ``[documents + 1]``, from 0.
    :param ids: ``[bounds[-1]]``, of the token file's dtype.
    :param mask: the corpus' label mask; an annotation has the label of the token that it precedes.
    """

    bounds: NDArray[np.int64]
    ids: NDArray[Any]
    mask: NDArray[np.bool_] | None

    def document(self, k: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Ids and mask of the ``k``-th document."""
        cut = slice(*self.bounds[k : k + 2])
        return self.ids[cut], None if self.mask is None else self.mask[cut]


def interleave(block: Block, overlay: OverlayPart | None) -> Interleaved:
    """Lay the annotations of ``overlay`` into the documents of ``block``; without one, none."""
    begin, end = block.bounds[0], block.bounds[-1]
    if overlay is None:
        return Interleaved(block.bounds - begin, block.ids, block.mask)
    # An annotation before the first token of a document belongs to that document.
    before = np.searchsorted(overlay.starts[:-1], block.bounds)
    first, last = int(before[0]), int(before[-1])
    starts = overlay.starts[first : last + 1]
    offsets = overlay.positions[first : last + 1] - starts
    lengths = np.diff(offsets)
    cuts = np.concatenate(([begin], starts[:-1], [end]))
    pattern = np.zeros(2 * (last - first) + 1, dtype=np.int64)
    pattern[::2] = np.diff(cuts)
    pattern[1::2] = lengths
    annotated = np.repeat(np.arange(len(pattern)) % 2 == 1, pattern)
    ids = np.empty(len(annotated), dtype=block.ids.dtype)
    ids[annotated] = overlay.ids[offsets[0] : offsets[-1]]
    ids[~annotated] = block.ids
    mask = None
    if block.mask is not None:
        mask = np.empty(len(annotated), dtype=bool)
        mask[annotated] = np.repeat(block.mask[starts[:-1] - begin], lengths)
        mask[~annotated] = block.mask
    bounds = block.bounds - begin + (overlay.positions - overlay.starts)[before] - offsets[0]
    return Interleaved(bounds, ids, mask)


@dataclass(frozen=True, slots=True)
class OverlayDir:
    """An OVERLAY_DIR that belongs to the TOKENS_DIR it was opened with.

    :param longest: tokens in the longest annotation, delimiters included.
    :param unannotated: by part, the conversations whose last trained run has no annotation.
    """

    folder: Path
    manifest: Manifest
    control: ControlIds
    longest: int
    unannotated: tuple[int, ...]

    @classmethod
    def open(cls, folder: Path, tokens: TokensDir, *, verify: bool = False) -> OverlayDir:
        """Read the manifest and check that the overlay belongs to ``tokens``.

        :param verify: hash the token files whole instead of sampling them.
        :raises InputError: when it was made for another token file, with another tokenizer or with
            other delimiters; when ``tokens`` has annotations in it already.
        """
        tokens.check_not_interleaved(f"leave {folder} out, or ")
        manifest = read_manifest(folder, "overlay")
        try:
            extra, parts = manifest.extra, manifest.extra["parts"]
            if extra["tokenizer_hash"] != tokens.tokenizer_hash:
                raise InputError(
                    f"{folder}: was made with another tokenizer than {tokens.folder} (hash "
                    f"{extra['tokenizer_hash'][:12]}, there {tokens.tokenizer_hash[:12]}); "
                    "make it again with: olmo-anchor overlay"
                )
            if len(parts) != len(tokens.parts):
                raise InputError(
                    f"{folder}: was made for {len(parts)} token files, {tokens.folder} has "
                    f"{len(tokens.parts)}; make it again with: olmo-anchor overlay"
                )
            for entry, part in zip(parts, tokens.parts, strict=True):
                _check_belongs(folder, entry["token_file"], part, verify)
                for name in ("ids", "starts", "positions", "docs"):
                    _check_size(folder, entry[name])
            control = ControlIds(**extra["control"])
            _check_control(folder, control, tokens)
            longest = max((int(entry["longest_annotation"]) for entry in parts), default=0)
            unannotated = tuple(int(entry["unannotated"]) for entry in parts)
            return cls(folder, manifest, control, longest, unannotated)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{folder}/manifest.json: {error} is missing or of the wrong type; make the "
                "overlay again with: olmo-anchor overlay --overwrite"
            ) from None

    def part(self, index: int) -> OverlayPart:
        """Map the files of one part."""
        entry = self.manifest.extra["parts"][index]

        def mapped(name: str, dtype: str) -> NDArray[Any]:
            path = self.folder / entry[name]["path"]
            # An empty file cannot be mapped.
            if not path.stat().st_size:
                return np.zeros(0, dtype=dtype)
            return np.asarray(np.memmap(path, dtype=dtype, mode="r"))

        return OverlayPart(
            mapped("ids", "<u4"),
            mapped("starts", "<i8"),
            mapped("positions", "<i8"),
            mapped("docs", "<i8"),
        )


def _check_control(folder: Path, control: ControlIds, tokens: TokensDir) -> None:
    if control != tokens.control():
        tokenizer = tokens.tokenizer()
        made = tokenizer.decode([control.open, control.close, control.end_of_text])
        names = "".join((*tokenizer.delimiters, tokenizer.end_of_text))
        raise InputError(
            f"{folder}: was made with the control tokens {made}, the tokenizer of {tokens.folder} "
            f"names {names}; make it again with: olmo-anchor overlay"
        )


def _check_belongs(folder: Path, token_file: dict[str, Any], part: Part, verify: bool) -> None:
    same = token_file["size"] == part.ids.stat().st_size
    if same:
        key, hashed = ("sha256", sha256_file) if verify else ("sampled_sha256", sampled_sha256)
        same = token_file[key] == hashed(part.ids)
    if not same:
        raise InputError(
            f"{folder}: belongs to another token file than {part.ids} (made for "
            f"{token_file['path']}, {token_file['size']} bytes); make one for it with: "
            "olmo-anchor overlay"
        )


def _check_size(folder: Path, record: dict[str, Any]) -> None:
    path = folder / record["path"]
    if not path.is_file() or path.stat().st_size != record["size"]:
        raise InputError(
            f"{path}: missing, or not of the {record['size']} bytes that its manifest tells; make "
            "the overlay again with: olmo-anchor overlay --overwrite"
        )
