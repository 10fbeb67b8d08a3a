"""Pure functions over token ids: documents, chunks, runs of targets, and roles.

Inside an annotation the ids alone tell structure, key and value apart, because keys, ``:``, values
and newlines are encoded separately (DESIGN rule 3)::

    <open> topic : pir ates \\n entity : Anne Bonny <close> Once upon ...
      D      K   K  V   V   D    K    K   V    V      D      T   T
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "DELIMITER",
    "KEY",
    "ROLE_NAMES",
    "TEXT",
    "VALUE",
    "ControlIds",
    "Events",
    "NewlineTable",
    "chunk_starts",
    "document_bounds",
    "final_run_mask",
    "roles",
    "trained_runs",
]

TEXT, DELIMITER, KEY, VALUE = 0, 1, 2, 3
ROLE_NAMES = ("text", "delimiter", "key", "value")
"""Name by role. A newline inside an annotation and both delimiters are ``delimiter``; ``:`` is
``key``."""

Ids = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ControlIds:
    """The token ids that carry structure, looked up by string in a tokenizer."""

    open: int
    close: int
    colon: int
    newline: int
    end_of_text: int


def document_bounds(ids: Ids, end_of_text: int) -> Positions:
    """Where documents begin, and the end of the last.

    :param ids: ``[n]``; documents end with ``end_of_text``, the last may lack it.
    :returns: int64 ``[documents + 1]``; document k is ``ids[bounds[k]:bounds[k + 1]]``.
    """
    ends = np.flatnonzero(ids == end_of_text).astype(np.int64) + 1
    if len(ids) and (not len(ends) or ends[-1] != len(ids)):
        ends = np.append(ends, len(ids))
    return np.concatenate((np.zeros(1, np.int64), ends))


# --- roles ---------------------------------------------------------------------------------------


def roles(
    ids: npt.ArrayLike, control: ControlIds, *, inside: bool | None = None
) -> npt.NDArray[np.uint8]:
    """What each token is: :data:`TEXT`, :data:`DELIMITER`, :data:`KEY` or :data:`VALUE`.

    Keys run to their line's first ``:`` token, which is included. What is unclear is a value: a
    line without a ``:``, what follows an opening delimiter that is never closed (up to the next
    opening delimiter or the end of its document), and the first line of a range that starts inside
    an annotation. A closing delimiter that closes nothing is a delimiter, the text before it is
    text. The end-of-text token is text, and ends whatever was open.

    :param ids: integers ``[..., n]``; each row is a range of tokens of its own.
    :param inside: whether rows start inside an annotation. ``None`` infers it for each row: so it
        is when the first delimiter or end-of-text in the row is a closing delimiter. (A row
        without either is read as text.)
    :returns: uint8 of the shape of ``ids``.
    """
    ids = np.asarray(ids)
    out = np.zeros(ids.shape, np.uint8)
    if ids.size == 0:
        return out
    events = Events.find(ids, control, inside=inside)
    flat, out_flat = ids.reshape(-1), out.reshape(-1)
    spans = np.flatnonzero(events.opens | events.leads)
    own = events.opens[spans]  # a delimiter is itself no part of what it opens
    starts, lengths = events.at[spans] + own, events.lengths[spans] - own
    _mark_annotations(
        out_flat, flat, control, starts, lengths, events.closed[spans], events.leads[spans]
    )
    out_flat[events.at[events.opens | events.closes]] = DELIMITER
    return out


class Events(NamedTuple):
    """The few tokens of rows at which text, annotation or document can change: delimiters,
    end-of-text tokens, and the first of each row. All but the last field are ``[events]``.

    :param at: int64, rising: where in the rows laid end to end.
    :param lengths: int64, tokens up to the next event or the end, its own included.
    :param opens: bool, it is an opening delimiter.
    :param closes: bool, it is a closing delimiter.
    :param ends: bool, it is an end-of-text token.
    :param leads: bool, it is none of these, and leads a row that starts inside an annotation.
    :param closed: bool, the next event is a closing delimiter of the same row.
    :param starts_inside: bool ``[rows]``, the row starts inside an annotation.
    """

    at: Positions
    lengths: Positions
    opens: Mask
    closes: Mask
    ends: Mask
    leads: Mask
    closed: Mask
    starts_inside: Mask

    @classmethod
    def find(cls, ids: Ids, control: ControlIds, *, inside: bool | None = None) -> Events:
        """:param ids: integers ``[..., n]``, not empty; they and ``inside`` as in :func:`roles`."""
        flat, n = ids.reshape(-1), ids.shape[-1]
        is_event = (flat == control.open) | (flat == control.close) | (flat == control.end_of_text)
        is_event[::n] = True
        at = np.flatnonzero(is_event)
        tokens = flat[at]
        opens, closes = tokens == control.open, tokens == control.close
        ends = tokens == control.end_of_text
        first = at.searchsorted(np.arange(0, flat.size, n))
        closed = np.append(closes[1:], False)
        closed[first[1:] - 1] = False  # what a row leaves open, the next row does not close
        ordinary = ~(opens | closes | ends)[first]
        if inside is None:
            starts_inside = closes[first] | (ordinary & closed[first])
        else:
            starts_inside = np.full(len(first), inside)
        leads = np.zeros(len(at), bool)
        leads[first] = starts_inside & ordinary
        lengths = np.append(at[1:], flat.size) - at
        return cls(at, lengths, opens, closes, ends, leads, closed, starts_inside)

    def annotated(self) -> Mask:
        """The tokens that :func:`roles` does not call :data:`TEXT`, in half of its time: bool
        ``[tokens]``, the rows laid end to end."""
        mask = (self.opens | self.leads).repeat(self.lengths)
        mask[self.at[self.closes]] = True
        return mask


def _mark_annotations(
    out: npt.NDArray[np.uint8],
    flat: Ids,
    control: ControlIds,
    starts: Positions,
    lengths: Positions,
    closed: Mask,
    starts_inside: Mask,
) -> None:
    """Set the roles between delimiters; works on the tokens of annotations only."""
    total = int(lengths.sum())
    if not total:
        return
    # `at` holds the positions of all tokens inside annotations, one annotation after the other.
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    at = np.arange(total) + np.repeat(starts - offsets[:-1], lengths)
    tokens = flat[at]

    newline = tokens == control.newline
    line_starts = np.zeros(total, bool)
    line_starts[offsets[:-1][lengths > 0]] = True
    line_starts[1:] |= newline[:-1]
    first_of_line = np.flatnonzero(line_starts)
    line_lengths = np.append(first_of_line[1:], total) - first_of_line

    # A token belongs to the key up to the first colon of its line, where the line has one.
    colons = np.flatnonzero(tokens == control.colon)
    key_end = np.full(len(first_of_line), -1, np.int64)
    key_end[_line_of(first_of_line, colons)[::-1]] = colons[::-1]
    key_end[_line_of(first_of_line, offsets[:-1][starts_inside & (lengths > 0)])] = -1

    # Arithmetic, as random choices are slow: a key has one less than a value.
    in_key = np.arange(total) <= key_end.repeat(line_lengths)
    role = np.uint8(VALUE) - in_key.view(np.uint8)
    role[newline] = DELIMITER
    if not closed.all():
        role[np.repeat(~closed, lengths)] = VALUE
    out[at] = role


def _line_of(first_of_line: Positions, at: Positions) -> Positions:
    """The number of the line in which each token of ``at`` stands."""
    line: Positions = first_of_line.searchsorted(at, side="right") - 1
    return line


# --- runs of targets -----------------------------------------------------------------------------


def trained_runs(mask: npt.ArrayLike) -> Positions:
    """The runs of True: int64 ``[runs, 2]`` of start and end (exclusive).

    :param mask: bool ``[n]``.
    """
    padded = np.zeros(np.size(mask) + 2, np.int8)
    padded[1:-1] = mask
    edges = np.diff(padded)
    return np.stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)), axis=1).astype(
        np.int64
    )


def final_run_mask(
    mask: npt.ArrayLike, bounds: Positions, annotated: Positions | None = None
) -> Mask:
    """Keep only the last run of True of each document (paper B.3: the final assistant message).

    :param mask: bool ``[n]``, a label mask over whole documents.
    :param bounds: as :func:`document_bounds` gives them, for the same range.
    :param annotated: rising positions, for the same range, before which an annotation stands. A
        last run that does not begin at one of them is not kept either: a response that is trained
        without its annotation trains the anchor away.
    :returns: a new bool ``[n]``.
    """
    mask = np.asarray(mask, bool)
    begins_run = mask.copy()
    begins_run[1:] &= ~mask[:-1]
    # A run that crosses into the next document is two runs.
    first_of_document = bounds[bounds < len(mask)]
    begins_run[first_of_document] = mask[first_of_document]
    starts = np.flatnonzero(begins_run)
    document = bounds.searchsorted(starts, side="right") - 1
    is_last = np.ones(len(starts), bool)
    is_last[:-1] = document[1:] != document[:-1]
    if annotated is not None:
        is_last &= annotated.searchsorted(starts, side="right") > annotated.searchsorted(starts)
    # From the start of a document's last run to the document's end; AND leaves the run itself.
    cuts = np.zeros(2 * np.count_nonzero(is_last) + 2, np.int64)
    cuts[1:-1:2] = starts[is_last]
    cuts[2::2] = bounds[document[is_last] + 1]
    cuts[-1] = len(mask)
    kinds = np.zeros(len(cuts) - 1, bool)
    kinds[1::2] = True
    return mask & kinds.repeat(cuts[1:] - cuts[:-1])


# --- chunks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class NewlineTable:
    """How each token of the vocabulary stands to newlines; all bool ``[vocab_size]``.

    :param starts: the token's bytes begin with a newline.
    :param ends: they end with one.
    :param all: they are newlines only (at least one).
    :param ends_break: they end with two newlines or more.
    :param inner_break: they hold two newlines in a row that something else follows.
    :param leads_one: they begin with exactly one newline that something else follows.
    """

    starts: Mask
    ends: Mask
    all: Mask
    ends_break: Mask
    inner_break: Mask
    leads_one: Mask

    @classmethod
    def from_bytes(cls, tokens: list[bytes]) -> NewlineTable:
        """:param tokens: the bytes of each token by id; control tokens as ``b""``."""

        def table(test: object) -> Mask:
            assert callable(test)
            return np.fromiter((bool(test(token)) for token in tokens), bool, len(tokens))

        return cls(
            starts=table(lambda t: t.startswith(b"\n")),
            ends=table(lambda t: t.endswith(b"\n")),
            all=table(lambda t: t and not t.strip(b"\n")),
            ends_break=table(lambda t: t.endswith(b"\n\n")),
            inner_break=table(lambda t: b"\n\n" in t.rstrip(b"\n")),
            leads_one=table(lambda t: t[:1] == b"\n" and t[1:2] not in (b"", b"\n")),
        )


def chunk_starts(ids: Ids, table: NewlineTable, *, min_tokens: int = 0) -> Positions:
    """Where the chunks of one document begin (paper B.2: documents are split on ``\\n\\n``).

    A chunk ends after the tokens that complete a run of two newlines or more: it takes the whole
    run with it. A token that goes on past the break (dolma2 has ``"\\n\\n    \\n"``) belongs to the
    chunk that it ends. The last chunk takes what is left.

    :param ids: ``[n]``, one document, with or without its end-of-text token.
    :param table: of the tokenizer that made the ids.
    :param min_tokens: a chunk with fewer tokens is joined to the next.
    :returns: int64 ``[chunks]``, rising, the first is 0; empty for an empty document.
    """
    ids = np.asarray(ids)
    if not len(ids):
        return np.zeros(0, np.int64)
    ends, all_newline = table.ends[ids], table.all[ids]
    after_newline = np.concatenate(([False], ends[:-1]))
    # A run stands at a token's end when it holds two newlines by itself, or is one newline that the
    # token before led up to. (Three tokens are never needed: two newline tokens are a run already.)
    run_at_end = table.ends_break[ids] | (all_newline & after_newline)
    goes_on = np.append(table.starts[ids[1:]], False)
    # A run can also end inside a token: all of it in there, or its first newline in the one before.
    run_inside = table.inner_break[ids] | (table.leads_one[ids] & after_newline)
    ended = (run_at_end & ~goes_on) | run_inside
    starts = np.flatnonzero(ended[:-1]).astype(np.int64) + 1
    starts = np.concatenate((np.zeros(1, np.int64), starts))
    return _join_short(starts, len(ids), min_tokens) if min_tokens > 1 else starts


def _join_short(starts: Positions, length: int, min_tokens: int) -> Positions:
    kept = [0]
    for start in starts[1:].tolist():
        if start - kept[-1] >= min_tokens:
            kept.append(start)
    # What is left at the end has no next chunk to be joined to: it goes to the one before.
    if len(kept) > 1 and length - kept[-1] < min_tokens:
        kept.pop()
    return np.array(kept, np.int64)
