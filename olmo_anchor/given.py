"""Which values of an annotation the prompt names itself: a pure function over token ids.

A value is *given* when its text stands, as whole words and in any case, in the text of its own
document before its annotation. Token ids cannot be compared for that (in a BPE "pirates" and
" pirates" are different ones): the text that they spell is, by a table of what each id adds to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.spans import DELIMITER, KEY, TEXT, VALUE, ControlIds, roles

__all__ = ["given_values", "names"]


def given_values(
    ids: NDArray[Any],
    where: NDArray[np.bool_],
    control: ControlIds,
    pieces: Sequence[bytes],
) -> NDArray[np.bool_]:
    """The tokens of given values, bool of the shape of ``ids`` (``[n]`` or ``[rows, n]``).

    Every row begins at a document; a document ends with its end-of-text token or with its row.
    Only what certainly is a value can be given: of a line with a key, in an annotation that closes.

    :param where: bool, of the shape of ``ids``: only values that begin there are looked at.
    :param pieces: the bytes that each id adds to a text, by id; a zero byte of those that are no
        text (:meth:`olmo_anchor.tokenizer.AnchorTokenizer.pieces`).
    """
    given = np.zeros(ids.size, bool)
    role = roles(ids, control, inside=False).reshape(-1)
    is_value = role == VALUE
    # A value begins after its key's colon: what is unclear has none before it. A row never begins
    # with one.
    begins = np.flatnonzero(is_value[1:] & (role[:-1] == KEY) & where.reshape(-1)[1:]) + 1
    if not len(begins):
        return given.reshape(ids.shape)
    flat = ids.reshape(-1)
    others = np.flatnonzero(~is_value)
    ends = np.append(others, ids.size)[others.searchsorted(begins)]
    opened = np.flatnonzero(flat == control.open)
    rows = np.arange(0, ids.size, ids.shape[-1])
    documents = np.union1d(rows, np.flatnonzero(flat == control.end_of_text) + 1)
    # Of an earlier annotation nothing is text; its delimiters part what stands around it.
    spoken = (role == TEXT) | (role == DELIMITER)
    text, read = "", -1
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        annotation = int(opened[opened.searchsorted(begin) - 1])
        if annotation != read:
            document = documents[documents.searchsorted(annotation, side="right") - 1]
            before = slice(document, annotation)
            text, read = _spell(flat[before][spoken[before]], pieces), annotation
        value = _spell(flat[begin:end], pieces)
        given[begin:end] = "\0" not in value and names(text, value)
    return given.reshape(ids.shape)


def names(text: str, value: str) -> bool:
    """Whether ``value`` stands in ``text`` between other characters than those of words; both with
    their case folded."""
    at = text.find(value) if value else -1
    while at >= 0:
        end = at + len(value)
        if not (_in_word(text[at - 1 : at]) or _in_word(text[end : end + 1])):
            return True
        at = text.find(value, at + 1)
    return False


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _spell(ids: NDArray[Any], pieces: Sequence[bytes]) -> str:
    raw = b"".join([pieces[token] for token in ids.tolist()])
    return " ".join(raw.decode("utf-8", "replace").casefold().split())
