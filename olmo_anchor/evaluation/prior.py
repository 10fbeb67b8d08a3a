"""Prior drift: how far post-training moved what a model chooses to speak about.

Exact: the probability of every value that the first key of the annotation can have, after each open
prompt, scored by the model itself; nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.chat import encode_prompt
from olmo_anchor.engines import Engine
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["kl_bits", "prior_kl_bits", "value_log_probabilities"]


def kl_bits(after: NDArray[np.float64], before: NDArray[np.float64]) -> float:
    """KL(after || before) in bits.

    :param after, before: natural-log probabilities ``[..., values]``, each row summing to one; the
        mean is taken over the rows.
    """
    rows = (np.exp(after) * (after - before)).sum(axis=-1)
    return float(rows.mean() / np.log(2))


def value_log_probabilities(
    engine: Engine,
    tokenizer: AnchorTokenizer,
    prompts: Sequence[Any],
    key: str,
    values: Sequence[str],
) -> NDArray[np.float64]:
    """log p(value | prompt, an annotation begins with ``key:``) among ``values``.

    A value is scored with what ends it, a newline or the closing delimiter, so that no value counts
    as the beginning of another.

    :param prompts: raw text, or messages to be laid out by the chat template.
    :returns: natural logs, float64 ``[prompts, values]``, normalised over the values.
    """
    control = tokenizer.control
    head = [control.open, *tokenizer.encode(key), control.colon]
    contexts, continuations = [], []
    for prompt in prompts:
        text = isinstance(prompt, str)
        ids = tokenizer.encode(prompt) if text else encode_prompt(prompt, tokenizer)
        for value in values:
            for end in (control.newline, control.close):
                contexts.append([*ids, *head])
                continuations.append([*tokenizer.encode(value), end])
    scores = np.array(engine.score(contexts, continuations), np.float64)
    scores = scores.reshape(len(prompts), len(values), 2)
    joint = np.logaddexp(scores[..., 0], scores[..., 1])
    normaliser: NDArray[np.float64] = np.logaddexp.reduce(joint, axis=1, keepdims=True)
    return np.asarray(joint - normaliser)


def prior_kl_bits(
    before: tuple[Path, Sequence[Any]],
    after: tuple[Path, Sequence[Any]],
    key: str,
    values: Sequence[str],
    *,
    engine: str = "hf",
) -> float:
    """KL(after || before) of the first annotated value, mean over the prompts, in bits.

    :param before, after: a model folder and the same open prompts, in that model's layout and one
        order.
    :param key: the key that annotations begin with.
    :raises InputError: when a folder holds no model.
    """
    from olmo_anchor.engines import open_engine

    logs = []
    for model, prompts in (before, after):
        tokenizer = AnchorTokenizer.load(model)
        opened = open_engine(engine, model)
        logs.append(value_log_probabilities(opened, tokenizer, prompts, key, values))
    return kl_bits(logs[1], logs[0])
