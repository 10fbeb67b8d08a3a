"""Prior drift: how far post-training moved what a model chooses to speak about.

Exact: the probability of every value that the first key of the annotation can have, after each open
prompt, scored by the model itself; nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from olmo_anchor.chat import encode_prompt
from olmo_anchor.engines import Engine, open_engine
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = [
    "kl_bits",
    "log_prior",
    "paired_prompts",
    "prior_kl_bits",
    "value_log_probabilities",
]


def paired_prompts(
    before: tuple[str, Mapping[str, Any]], after: tuple[str, Mapping[str, Any]]
) -> dict[str, tuple[Any, Any]]:
    """The different open prompts by the first of their ids, each in the layout of both models.

    :param before, after: a model's name, and its open prompts (raw text or messages) by their ids.
    :raises InputError: when the ids differ, or one id asks for different things: neither text holds
        the other, whitespace around them apart (of messages, the last).
    """
    for (name, prompts), (other, others) in ((before, after), (after, before)):
        if lacking := [prompt for prompt in prompts if prompt not in others]:
            raise InputError(
                f"the open prompt {lacking[0]!r} was answered by {name}, not by {other} "
                f"({len(lacking)} such): make both generations files from the same requests"
            )
    pairs: dict[str, tuple[Any, Any]] = {}
    seen: set[bytes] = set()
    for prompt, asked in before[1].items():
        pair = asked, after[1][prompt]
        one, two = map(_request, pair)
        if one not in two and two not in one:
            raise InputError(
                f"the open prompt {prompt!r} asks {before[0]} for {one!r} and {after[0]} for "
                f"{two!r}: make both generations files from the same requests"
            )
        if (content := orjson.dumps(pair)) not in seen:
            seen.add(content)
            pairs[prompt] = pair
    return pairs


def _request(prompt: Any) -> str:
    text: str = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return text.strip()


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
    prompts: Mapping[str, Any],
    key: str,
    values: Sequence[str],
) -> NDArray[np.float64]:
    """log p(value | prompt, an annotation begins with ``key:``) among ``values``.

    A value is scored with what ends it, a newline or the closing delimiter, so that no value counts
    as the beginning of another.

    :param prompts: by their ids: raw text, or messages to be laid out by the chat template.
    :returns: natural logs, float64 ``[prompts, values]``, normalised over the values.
    :raises InputError: when a prompt leaves too little of the model's context.
    """
    control = tokenizer.control
    head = [control.open, *tokenizer.encode(key), control.colon]
    encoded = [tokenizer.encode(value) for value in values]
    needed = len(head) + max(map(len, encoded)) + 1
    contexts, continuations = [], []
    for name, prompt in prompts.items():
        text = isinstance(prompt, str)
        ids = tokenizer.encode(prompt) if text else encode_prompt(prompt, tokenizer)
        # vLLM samples one more token behind what it scores.
        if len(ids) + needed >= engine.max_length:
            raise InputError(
                f"the open prompt {name!r} is too long to score a prior after it: it has "
                f"{len(ids)} tokens, an annotation needs {needed} and the model takes "
                f"{engine.max_length} in all: make both generations files without it"
            )
        for value in encoded:
            for end in (control.newline, control.close):
                contexts.append([*ids, *head])
                continuations.append([*value, end])
    scores = np.array(engine.score(contexts, continuations), np.float64)
    scores = scores.reshape(len(prompts), len(values), 2)
    joint = np.logaddexp(scores[..., 0], scores[..., 1])
    normaliser: NDArray[np.float64] = np.logaddexp.reduce(joint, axis=1, keepdims=True)
    return np.asarray(joint - normaliser)


def prior_kl_bits(
    before: tuple[Path, Mapping[str, Any]],
    after: tuple[Path, Mapping[str, Any]],
    key: str,
    values: Sequence[str],
    *,
    engine: str = "hf",
) -> float:
    """KL(after || before) of the first annotated value, mean over the prompts, in bits.

    :param before, after: a model folder and the same open prompts by their ids, in that model's
        layout and one order.
    :param key: the key that annotations begin with.
    :raises InputError: when a folder holds no model, or a prompt is too long for it.
    """
    logs = [log_prior(*side, key, values, engine=engine) for side in (before, after)]
    return kl_bits(logs[1], logs[0])


def log_prior(
    model: Path, prompts: Mapping[str, Any], key: str, values: Sequence[str], *, engine: str = "hf"
) -> NDArray[np.float64]:
    """:func:`value_log_probabilities` of a model folder.

    :raises InputError: as :func:`prior_kl_bits`.
    """
    # The engine is gone when this returns: two models need not stand in memory at once.
    tokenizer = AnchorTokenizer.load(model)
    return value_log_probabilities(open_engine(engine, model), tokenizer, prompts, key, values)
