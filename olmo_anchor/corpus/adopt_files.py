"""Which files are adopted: token files, the label masks and document bounds beside them, a dtype.

Everything here is cheap: names, sizes, and the beginning and the end of a file.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmo_anchor.corpus.parts import smallest_uint
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["DTYPES", "Found", "choose_dtype", "find_files"]

DTYPES = ("uint16", "uint32")
"""What ``--dtype`` may say."""

_NPY_HEADER = b"\x93NUMPY"
_SAMPLE = 1 << 16
_MASK_NAME = re.compile(r"labels?_mask")


@dataclass(frozen=True, slots=True)
class Found:
    """A token file, and what lies beside it."""

    ids: Path
    mask: Path | None
    bounds: Path | None


def find_files(inputs: Sequence[Path], masks: str | None) -> list[Found]:
    """The token files of ``inputs``, in order, each with its ``.csv.gz`` and its label mask.

    A folder stands for the ``.npy`` files in it, at any depth and in the order of their paths.
    Files that are named as label masks are no token files.

    :param masks: a glob that gives one mask for each token file, in order; without it, a mask of
        ``token_ids_part_0000.npy`` is the ``labels_mask_part_0000.npy`` beside it.
    :raises InputError: when a file is missing, empty, named twice or has a header; when not every
        token file has a mask, or masks have other numbers in their names than the token files.
    """
    named = None if masks is None else [Path(name) for name in sorted(_expand(masks))]
    known = {path.resolve() for path in named or ()}
    files = [
        path
        for path in _token_files(inputs)
        if path.resolve() not in known and not _MASK_NAME.match(path.name)
    ]
    if not files:
        raise InputError(f"{_names(inputs)}: no token files: .npy, other than label masks")
    if len({path.resolve() for path in files}) != len(files):
        raise InputError(f"{_names(inputs)}: a token file is named twice")
    pairs = _pairs(files, named, masks)
    for path in (path for pair in pairs for path in pair if path is not None):
        _check_headerless(path)
    return [
        Found(ids, mask, bounds if bounds.is_file() else None)
        for ids, mask in pairs
        for bounds in [ids.with_suffix(".csv.gz")]
    ]


def _token_files(inputs: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in inputs:
        # A path keeps one slash of a URL's two.
        if re.match(r"[a-z][a-z0-9]+:/", str(path)):
            raise InputError(f"{path}: is a URL; copy the files to a local or mounted file system")
        if path.is_dir():
            files += sorted(path.rglob("*.npy"))
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    return files


def _expand(pattern: str) -> list[str]:
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute one
    if not found:
        raise InputError(f"--masks {pattern}: there is no such file")
    return found


def _pairs(
    files: list[Path], named: list[Path] | None, pattern: str | None
) -> list[tuple[Path, Path | None]]:
    if named is None:
        masks = [_mask_beside(path) for path in files]
        without = [path for path, mask in zip(files, masks, strict=True) if mask is None]
        if without and len(without) < len(files):
            raise InputError(
                f"{without[0]}: has no label mask beside it, other token files here have one; "
                "adopt them apart, or name all masks with --masks"
            )
        return list(zip(files, masks, strict=True))
    if len(named) != len(files):
        raise InputError(
            f"--masks {pattern}: gives {len(named)} files for {len(files)} token files; it must "
            "give one for each, in the order of their names"
        )
    for path, mask in zip(files, named, strict=True):
        if _number(path) != _number(mask):
            raise InputError(
                f"--masks {pattern}: {mask.name} would go with {path.name}; their numbers differ"
            )
    return list(zip(files, named, strict=True))


def _mask_beside(path: Path) -> Path | None:
    names = (path.name.replace("token_ids", name, 1) for name in ("labels_mask", "label_mask"))
    masks = (path.with_name(name) for name in names)
    return next((mask for mask in masks if mask != path and mask.is_file()), None)


def _number(path: Path) -> int | None:
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else None


def _check_headerless(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: is not a file")
    with path.open("rb") as file:
        head = file.read(len(_NPY_HEADER))
    if not head:
        raise InputError(f"{path}: is empty; leave it out")
    if head == _NPY_HEADER:
        raise InputError(
            f"{path}: was written by numpy.save and begins with a header; OLMo-core reads raw "
            "arrays. Write it again with: numpy.load(OLD).tofile(NEW), in the dtype of the tokens"
        )


def _names(inputs: Sequence[Path]) -> str:
    return ", ".join(map(str, inputs))


def choose_dtype(
    found: Sequence[Found], asked: str | None, tokenizer: AnchorTokenizer
) -> np.dtype[Any]:
    """The dtype of the token files: ``asked``, or the smallest that holds the vocabulary.

    :raises InputError: when a file cannot be of it; names the dtype that it is likely of.
    """
    dtype = smallest_uint(tokenizer.vocab_size)
    if asked is not None:
        dtype = np.dtype(asked).newbyteorder("<")
    for one in found:
        fault = _fault(one.ids, dtype, tokenizer)
        if fault is None:
            continue
        others = (np.dtype(name).newbyteorder("<") for name in DTYPES if name != dtype.name)
        likely = [other.name for other in others if _fault(one.ids, other, tokenizer) is None]
        if likely:
            raise InputError(
                f"{one.ids}: read as {dtype.name} it {fault}; it is likely of another dtype: "
                f"--dtype {likely[0]}"
            )
        # Without an end-of-text at its end it may be whole all the same: the scan tells more.
        if _misfit(one.ids, dtype, tokenizer) is not None:
            raise InputError(
                f"{one.ids}: read as {dtype.name} it {fault}, and no other dtype fits: it is "
                f"torn, no token file, or not of the tokenizer {tokenizer.source}"
            )
    return dtype


def _fault(path: Path, dtype: np.dtype[Any], tokenizer: AnchorTokenizer) -> str | None:
    """Why a file is hardly of ``dtype``, by its size, its beginning and its last token."""
    end = tokenizer.control.end_of_text
    if misfit := _misfit(path, dtype, tokenizer):
        return misfit
    if (last := _last(path, dtype)) != end:
        return f"does not end with end-of-text ({end}) but with {last}"
    # Where end-of-text is 0, the zero halves of wider ids pass for it.
    halves = np.fromfile(path, dtype, count=_SAMPLE)[1::2]
    if end == 0 and len(halves) and not halves.any() and path.stat().st_size % 4 == 0:
        return "has an end-of-text after every token"
    return None


def _misfit(path: Path, dtype: np.dtype[Any], tokenizer: AnchorTokenizer) -> str | None:
    size = path.stat().st_size
    if size % dtype.itemsize:
        return f"has {size} bytes, not a multiple of {dtype.itemsize}"
    top = max(int(np.fromfile(path, dtype, count=_SAMPLE).max()), _last(path, dtype))
    if top >= tokenizer.vocab_size:
        return f"holds the id {top}, and the vocabulary has {tokenizer.vocab_size}"
    return None


def _last(path: Path, dtype: np.dtype[Any]) -> int:
    offset = path.stat().st_size - dtype.itemsize
    return int(np.fromfile(path, dtype, offset=offset)[0])
