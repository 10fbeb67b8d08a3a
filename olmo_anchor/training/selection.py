"""Which documents a run takes, by their ids alone: a held-out split, and a share of the rest.

A document is known by a key: a hash of its id as the TOKENS_DIR records it. So the same documents
are chosen in every arm, order, packing and number of parts, and with annotations in the token files
or beside them. There is no seed: what is held out from one run is held out from all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from olmo_core.config import Config

from olmo_anchor.corpus.token_files import Part
from olmo_anchor.errors import InputError
from olmo_anchor.spans import TEXT, ControlIds, roles

__all__ = ["DocumentSelection", "document_keys"]

Keys = NDArray[np.uint64]
Mask = NDArray[np.bool_]

SPLITS = ("all", "train", "held_out")


@dataclass
class DocumentSelection(Config):
    """A part of a corpus.

    Larger splits and shares hold the smaller ones: what 1/64 takes, 1/32 takes too.
    """

    split: str = "train"
    """``train``, ``held_out`` (the documents that ``train`` leaves out) or ``all``."""
    held_out: float = 0.01
    """The share of documents that is held out (ours: the paper tells none)."""
    share: float = 1.0
    """The share that is taken of ``train`` or ``all``; ``held_out`` is always whole, so that runs
    on different shares are compared on the same documents."""

    def choose(self, keys: Keys) -> tuple[Mask, Mask]:
        """Which documents the split has, and which the share has; it takes those of both.

        :param keys: ``[documents]``, as :func:`document_keys` gives them.
        :raises InputError: when a setting is none.
        """
        self._check()
        # The two halves of a hash are independent: no share takes more of one split.
        held_out = (keys >> np.uint64(32)) < self.held_out * 2.0**32
        in_share = (keys & np.uint64(0xFFFFFFFF)) < self.share * 2.0**32
        everything = np.ones(len(keys), np.bool_)
        if self.split == "held_out":
            return held_out, everything
        return (~held_out if self.split == "train" else everything), in_share

    def _check(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"selection.split is {self.split!r}; it is one of {', '.join(SPLITS)}")
        if not 0 <= self.held_out < 1:
            raise InputError(f"selection.held_out is {self.held_out}; it is a share from 0 below 1")
        if not 0 < self.share <= 1:
            raise InputError(f"selection.share is {self.share}; it is a share above 0, up to 1")


def document_keys(part: Part, interleaved: ControlIds | None = None) -> Keys:
    """The key of each document of a token file: uint64 ``[documents]``.

    It is a BLAKE2b hash of the document's id or, where the ``.csv.gz`` tells none, of its token ids
    without annotations. Only then are tokens read.

    :param interleaved: the control ids, where the annotations are in the token file.
    :raises InputError: as :meth:`Part.rows`.
    """
    hashes = (_key(name.encode(), b"id") if name else 0 for _, _, name in part.rows())
    keys = np.fromiter(hashes, np.uint64)
    for block in () if keys.all() else part.blocks():
        for k, name in enumerate(block.names):
            if not name:
                ids, _ = block.document(k)
                if interleaved is not None:
                    ids = ids[roles(ids, interleaved, inside=False) == TEXT]
                keys[block.first + k] = _key(ids.astype("<u4").tobytes(), b"tokens")
    return keys


def _key(content: bytes, kind: bytes) -> int:
    # Another hash would be another split: what was held out would be trained.
    digest = hashlib.blake2b(content, digest_size=8, person=kind)
    return int.from_bytes(digest.digest(), "little")
