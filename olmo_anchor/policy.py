"""Which tokens of an interleaved document are trained: one pure function over token ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.given import given_values
from olmo_anchor.spans import VALUE, ControlIds, Events, roles

__all__ = ["VALUE_ONLY_FRACTION", "MaskPolicy", "is_value_only", "policy_mask", "value_only_tokens"]

VALUE_ONLY_FRACTION = 0.003
"""The paper's share of post-training examples in which only the values are masked."""


class MaskPolicy(StrEnum):
    """What is trained, always within the corpus' own label mask."""

    full = "full"
    """Annotations and text: pretraining."""
    anchored = "anchored"
    """Text; of the annotations nothing, or in value-only documents everything but the values."""
    anchored_given = "anchored_given"
    """As ``anchored``, and the values that the document's own text names before its annotation:
    what a prompt asks for goes on being learned. Ours, not the paper's (docs/adr/0013)."""
    unmasked = "unmasked"
    """Annotations and text in post-training: the ablation of ``anchored``."""
    annotation_only = "annotation_only"
    """Annotations without the text."""

    @property
    def masks_by_role(self) -> bool:
        """Whether instances must begin at a document, because tokens are masked by their role."""
        return self.has_value_only or self is MaskPolicy.annotation_only

    @property
    def has_value_only(self) -> bool:
        """Whether in a share of the documents only values are masked."""
        return self in (MaskPolicy.anchored, MaskPolicy.anchored_given)


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
    ids: NDArray[Any],
    control: ControlIds,
    *,
    fraction: float,
    seed: int,
    events: Events | None = None,
) -> NDArray[np.bool_]:
    """The tokens of value-only documents, bool of the shape of ``ids`` (``[n]`` or ``[rows, n]``).

    Every row begins at a document; a document ends with its end-of-text token or with its row.
    A document without a closing delimiter is not value-only.

    :param events: those of ``ids``, where the caller has them.
    """
    events = Events.find(ids, control) if events is None else events
    row_bounds = np.arange(0, ids.size + 1, ids.shape[-1])
    bounds = np.union1d(row_bounds, events.at[events.ends] + 1)
    closes = np.append(events.at[events.closes], ids.size)
    # One past the first closing delimiter; past the document where it has none.
    prefix_ends = closes[closes.searchsorted(bounds[:-1])] + 1
    flat = ids.reshape(-1)
    chosen = np.zeros(len(prefix_ends), bool)
    for document in np.flatnonzero(prefix_ends <= bounds[1:]):
        prefix = flat[bounds[document] : prefix_ends[document]]
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
    train_opening: bool = False,
    pieces: Sequence[bytes] | None = None,
    events: Events | None = None,
) -> NDArray[np.bool_]:
    """The trained tokens (unshifted: ``True`` at a token that is itself a target).

    :param ids: ``[n]`` or ``[rows, n]``; every row begins at a document.
    :param label_mask: the corpus' own mask, of the same shape; ``None`` trains every token.
    :param train_opening: train the opening delimiters that a policy would mask: to begin an
        annotation is learned, what to say in it is not. For a model that was pretrained on some
        documents without annotations, which chooses between both.
    :param pieces: what each id adds to a text, for ``anchored_given``: see
        :func:`~olmo_anchor.given.given_values`.
    :param events: those of ``ids``, where the caller has them.
    :returns: bool, of the shape of ``ids``; a new array.
    :raises ValueError: when the policy looks at what is given, and there are no ``pieces``.
    """
    policy = MaskPolicy(policy)
    corpus = np.ones(ids.shape, dtype=bool) if label_mask is None else np.array(label_mask, bool)
    if not policy.masks_by_role or not ids.size:
        return corpus
    events = Events.find(ids, control, inside=False) if events is None else events
    annotated = events.annotated().reshape(ids.shape)
    if policy is MaskPolicy.annotation_only:
        corpus &= annotated
        return corpus
    trained = ~annotated
    if value_only_fraction > 0:
        chosen = value_only_tokens(
            ids, control, fraction=value_only_fraction, seed=seed, events=events
        )
        # Keys and values are told apart only where that matters: in few batches.
        if chosen.any():
            trained |= chosen & (roles(ids, control, inside=False) != VALUE)
    if train_opening:
        trained |= ids == control.open
    if policy is MaskPolicy.anchored_given:
        if pieces is None:
            raise ValueError(f"policy {policy} needs the tokenizer's pieces")
        trained |= given_values(ids, corpus, control, pieces)
    corpus &= trained
    return corpus
