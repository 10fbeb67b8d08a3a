"""Chance that depends on nothing but what is decided."""

from __future__ import annotations

import hashlib

__all__ = ["uniform"]


def uniform(*what: object) -> float:
    """A number in [0, 1), by a hash: equally likely to be any, and always the same."""
    text = "\x1f".join(map(str, what))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
