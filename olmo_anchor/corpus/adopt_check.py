"""What must hold of a label mask, and why document bounds of token files made elsewhere differ."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.token_files import Part, read_bounds
from olmo_anchor.errors import InputError
from olmo_anchor.progress import Advance
from olmo_anchor.spans import ControlIds

__all__ = ["MaskFacts", "explain", "scan_mask"]

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """A label mask that fits its token file."""

    trained_tokens: int
    documents_without_target: int
    sha256: str


def scan_mask(
    path: Path, ids: Path, tokens: int, starts: NDArray[np.int64], advance: Advance
) -> MaskFacts:
    """Read a label mask once and check it.

    :param ids: the token file that it goes with.
    :param starts: int64 ``[documents + 1]``, of the documents, and the end of the last.
    :raises InputError: when it is not one bool for each token.
    """
    if (size := path.stat().st_size) != tokens:
        raise InputError(
            f"{path}: has {size} bytes for the {tokens} tokens of {ids.name}; a label mask is one "
            "bool per token. Name the right masks with --masks, or the right --dtype"
        )
    digest = hashlib.sha256()
    trained = 0
    has_target = np.zeros(len(starts) - 1, bool)
    with path.open("rb") as file:
        for offset in range(0, tokens, _BLOCK):
            raw = file.read(_BLOCK)
            digest.update(raw)
            mask = np.frombuffer(raw, np.uint8)
            if (top := int(mask.max())) > 1:
                raise InputError(
                    f"{path}: holds the byte {top}; a label mask is one bool (0 or 1) per token. "
                    "Name the right masks with --masks"
                )
            at = np.flatnonzero(mask) + offset
            trained += len(at)
            has_target[np.searchsorted(starts, at, side="right") - 1] = True
            advance(len(mask))
    return MaskFacts(trained, int(np.count_nonzero(~has_target)), digest.hexdigest())


def explain(part: Part, control: ControlIds, compared: bool) -> str:
    """What pipelines are known to do to document bounds, as far as it is so in this file."""
    reason = _CUT if part.mask is not None else ""
    if not compared:
        return reason
    rows = [(start, end) for start, end, _ in read_bounds(part.bounds) if end > start]
    bounds = np.array([row for row in rows if row[1] <= part.tokens], np.int64).reshape(-1, 2)
    ids = np.memmap(part.ids, part.dtype, mode="r")
    long = bounds[:, 1] - bounds[:, 0] > 1
    begin = int(np.count_nonzero((ids[bounds[:, 0]] == control.end_of_text) & long))
    cut = int(np.count_nonzero(ids[bounds[:, 1] - 1] != control.end_of_text))
    why = ""
    if begin:
        why += (
            f". {begin} documents begin with an end-of-text token, as OLMo-2's own chat template "
            "has it: OLMo-core takes that token for a document. --bounds end-of-text does so too"
        )
    return why + (f". {cut} documents do not end with one{reason}" if cut else "")


_CUT = (
    ". open-instruct cuts a conversation at --max_seq_length, and between two parts in older "
    "versions: convert again without a length limit, into one part or parts of whole conversations"
)
