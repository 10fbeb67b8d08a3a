"""Entropy of labels, in bits.

Semantic entropy (paper, eq. 4) is the plug-in entropy of the labels that a judge gives to a model's
outputs: how many meanings there are, not how many wordings. The plug-in is too low for small
samples (by about (K - 1) / 2n nats for K labels), so two better estimators stand beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["chao_shen", "coverage", "miller_madow", "plug_in"]


def _seen(counts: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(counts, np.float64)
    return values[values > 0]


def plug_in(counts: ArrayLike) -> float:
    """-sum p log2 p of the observed shares p (paper, eq. 4), in bits; 0 for no observations.

    :param counts: ``[labels]``.
    """
    seen = _seen(counts)
    shares = seen / max(seen.sum(), 1.0)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def miller_madow(counts: ArrayLike) -> float:
    """The plug-in plus (labels seen - 1) / 2n nats (Miller 1955), in bits."""
    seen = _seen(counts)
    if not seen.size:
        return 0.0
    return plug_in(counts) + float((seen.size - 1) / (2 * seen.sum() * np.log(2)))


def coverage(counts: ArrayLike) -> float:
    """The estimated probability that a new observation has a label seen before.

    Chao and Jost (2012, eq. 4a), from the numbers of labels seen once and twice; 0 for no
    observations.
    """
    seen = _seen(counts)
    n, once, twice = seen.sum(), (seen == 1).sum(), (seen == 2).sum()
    if n == 0:
        return 0.0
    if once == 0:
        return 1.0
    weight = (n - 1) * once / ((n - 1) * once + 2 * twice) if twice or once > 1 else 1.0
    return float(1 - once / n * weight)


def chao_shen(counts: ArrayLike) -> float:
    """The coverage-adjusted estimator of Chao and Shen (2003, eq. 3), in bits.

    Shares are scaled by Good's coverage 1 - f1 / n and weighted by their chance of being seen at
    all.
    """
    seen = _seen(counts)
    n, once = seen.sum(), (seen == 1).sum()
    if n == 0:
        return 0.0
    if once == n:
        once = n - 1  # otherwise the coverage would be 0 and the estimate undefined
    shares = (1 - once / n) * seen / n
    return float(-(shares * np.log2(shares) / (1 - (1 - shares) ** n)).sum()) + 0.0
