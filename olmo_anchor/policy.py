"""Which tokens of an interleaved document are trained: one pure function over token ids."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.spans import TEXT, VALUE, ControlIds, roles

__all__ = ["VALUE_ONLY_FRACTION", "MaskPolicy", "is_value_only", "policy_mask", "value_only_tokens"]

VALUE_ONLY_FRACTION = 0.003
"""The paper's share of post-training examples in which only the values are masked."""


class MaskPolicy(StrEnum):
    """What is trained, always within the corpus' own label mask."""

    full = "full"
    """Annotations and text: pretraining."""
    anchored = "anchored"
    """Text; of the annotations nothing, or in value-only documents everything but the values."""
    unmasked = "unmasked"
    """Annotations and text in post-training: the ablation of ``anchored``."""
    annotation_only = "annotation_only"
    """Annotations without the text."""

    @property
    def masks_by_role(self) -> bool:
        """Whether instances must begin at a document, because tokens are masked by their role."""
        return self in (MaskPolicy.anchored, MaskPolicy.annotation_only)


def is_value_only(prefix: NDArray[Any], *, fraction: float, seed: int) -> bool:
    """Whether a document is value-only.

    The decision depends on the document alone: the same for any rank, order, packing, truncation
    or number of workers.

    :param prefix: the document's ids ``[n]`` from its start to its first closing delimiter,
        inclusive.
    """
    digest = hashlib.blake2b(seed.to_bytes(8, "little", signed=True), digest_size=8)
    digest.update(np.ascontiguousarray(prefix, dtype="<i8").tobytes())
    return int.from_bytes(digest.digest(), "little") < fraction * 2**64


def value_only_tokens(
    ids: NDArray[Any], control: ControlIds, *, fraction: float, seed: int
) -> NDArray[np.bool_]:
    """The tokens of value-only documents, bool of the shape of ``ids`` (``[n]`` or ``[rows, n]``).

    Every row begins at a document; a document ends with its end-of-text token or with its row.
    A document without a closing delimiter is not value-only.
    """
    rows = np.atleast_2d(ids)
    flat = rows.reshape(-1)
    begins = np.zeros(rows.shape, dtype=bool)
    begins[:, :1] = True
    begins[:, 1:] = rows[:, :-1] == control.end_of_text
    starts = np.flatnonzero(begins)
    bounds = np.append(starts, flat.size)
    closes = np.flatnonzero(flat == control.close)
    first = np.searchsorted(closes, starts)
    chosen = np.zeros(starts.size, dtype=bool)
    for document in np.flatnonzero(first < np.searchsorted(closes, bounds[1:])):
        prefix = flat[starts[document] : closes[first[document]] + 1]
        chosen[document] = is_value_only(prefix, fraction=fraction, seed=seed)
    if not chosen.any():
        return np.zeros(ids.shape, bool)
    return np.repeat(chosen, np.diff(bounds)).reshape(ids.shape)


def policy_mask(
    ids: NDArray[Any],
    label_mask: NDArray[np.bool_] | None,
    policy: MaskPolicy | str,
    control: ControlIds,
    *,
    value_only_fraction: float = VALUE_ONLY_FRACTION,
    seed: int = 0,
    role_ids: NDArray[np.uint8] | None = None,
) -> NDArray[np.bool_]:
    """The trained tokens (unshifted: ``True`` at a token that is itself a target).

    :param ids: ``[n]`` or ``[rows, n]``; every row begins at a document.
    :param label_mask: the corpus' own mask, of the same shape; ``None`` trains every token.
    :param role_ids: :func:`olmo_anchor.spans.roles` of ``ids``, where the caller has them.
    :returns: bool, of the shape of ``ids``; a new array.
    """
    policy = MaskPolicy(policy)
    corpus = np.ones(ids.shape, dtype=bool) if label_mask is None else np.array(label_mask, bool)
    if not policy.masks_by_role:
        return corpus
    if role_ids is None:
        role_ids = roles(ids, control, inside=False)
    if policy is MaskPolicy.annotation_only:
        corpus &= role_ids != TEXT
        return corpus
    trained = role_ids == TEXT
    if value_only_fraction > 0:
        chosen = value_only_tokens(ids, control, fraction=value_only_fraction, seed=seed)
        if chosen.any():
            trained |= chosen & (role_ids != VALUE)
    corpus &= trained
    return corpus
