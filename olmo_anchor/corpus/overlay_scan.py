"""What must hold of a token file before annotations are laid over it (DESIGN rules 1 and 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.token_files import Part, read_bounds
from olmo_anchor.errors import InputError
from olmo_anchor.progress import Advance
from olmo_anchor.spans import ControlIds

__all__ = ["BoundsDisagree", "Scan", "scan_part"]

_BLOCK = 1 << 20


class BoundsDisagree(InputError):
    """End-of-text tokens and ``.csv.gz`` tell different documents."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A token file that passed.

    :param documents: counted by their end-of-text tokens.
    :param empty_documents: of these, the ones that hold nothing but their end-of-text.
    :param sha256: of the token file.
    """

    documents: int
    empty_documents: int
    sha256: str


def scan_part(
    part: Part,
    control: ControlIds,
    vocab_size: int,
    starts: IO[bytes],
    advance: Advance,
    *,
    compare: bool = True,
) -> Scan:
    """Read a token file once, check it, and write where its documents begin.

    :param starts: takes int64 little-endian: the start of each document, then the end of the last.
    :param compare: with the ``.csv.gz``, which is not read otherwise.
    :raises BoundsDisagree: when the end-of-text tokens disagree with the ``.csv.gz``, or the last
        document has none.
    :raises InputError: when the file changed since it was tokenised, an id is not of the
        vocabulary, or a document holds a delimiter.
    """
    digest = hashlib.sha256()
    rows = _Rows(part) if compare else None
    documents = empty = delimited = disagree = 0
    first_delimited = last_delimited = -1
    last_end = 0
    starts.write(np.zeros(1, "<i8").tobytes())
    for offset in range(0, part.tokens, _BLOCK):
        ids = part.read(offset, min(offset + _BLOCK, part.tokens))
        digest.update(ids.tobytes())
        if (top := int(ids.max())) >= vocab_size:
            raise InputError(
                f"{part.ids}: holds the id {top}, the vocabulary has {vocab_size}: made with "
                f"another tokenizer or of another dtype; {part.mend}"
            )
        ends = np.flatnonzero(ids == control.end_of_text).astype("<i8") + offset + 1
        held = np.flatnonzero((ids == control.open) | (ids == control.close)) + offset
        found = np.unique(documents + np.searchsorted(ends, held, side="right"))
        if len(found):
            first_delimited = int(found[0]) if first_delimited < 0 else first_delimited
            delimited += len(found) - int(found[0] == last_delimited)
            last_delimited = int(found[-1])
        if rows is not None:
            disagree += len(np.setxor1d(ends, rows.until(offset + len(ids))))
        empty += int(np.count_nonzero(np.diff(ends, prepend=last_end) == 1))
        documents += len(ends)
        last_end = int(ends[-1]) if len(ends) else last_end
        starts.write(ends.tobytes())
        advance(len(ids))
    if rows is not None:
        disagree += len(rows.until(None)) + rows.broken
    if disagree:
        raise BoundsDisagree(
            f"{part.ids.name} and {part.bounds.name} in {part.ids.parent} disagree about "
            f"{disagree} document bounds (of {documents} end-of-text tokens)"
            + ("" if last_end == part.tokens else "; the last document has no end-of-text token")
            + _CURE
        )
    if last_end != part.tokens:
        raise BoundsDisagree(
            f"{part.ids}: the last document has no end-of-text token (of {documents}){_CURE}"
        )
    if delimited:
        raise InputError(
            f"{part.ids}: {delimited} of {documents} documents hold an annotation delimiter (the "
            f"first is document {first_delimited}); tokenize the text again with "
            "`olmo-anchor tokenize`, which never makes a control token from text, or leave them out"
        )
    if part.record.get("sha256") not in (None, digest.hexdigest()):
        raise InputError(
            f"{part.ids}: changed since its manifest was written (another SHA-256); {part.mend}"
        )
    return Scan(documents, empty, digest.hexdigest())


_CURE = "; tokenize again with one end-of-text token at the end of each document, none inside"


class _Rows:
    """The ends that a ``.csv.gz`` tells, taken as far as the tokens were read."""

    def __init__(self, part: Part) -> None:
        self.broken = 0
        self._ends = self._checked(part)
        self._ahead: list[int] = []

    def _checked(self, part: Part) -> Iterator[int]:
        expected = 0
        for start, end, _ in read_bounds(part.bounds):
            # A document without a token has no end-of-text of its own either.
            self.broken += start != expected or end <= start
            expected = end
            yield end

    def until(self, limit: int | None) -> NDArray[Any]:
        """The ends up to ``limit``, all that are left without one."""
        taken = [end for end in self._ahead if limit is None or end <= limit]
        self._ahead = self._ahead[len(taken) :]
        if not self._ahead:
            for end in self._ends:
                if limit is not None and end > limit:
                    self._ahead = [end]
                    break
                taken.append(end)
        return np.array(taken, dtype=np.int64)
