"""Prior drift, whole annotations: what one model wrote, scored by both.

KL(own || other) is the mean of log p_own(z) - log p_other(z) over annotations z that ``own`` wrote.
The probabilities are exact; only which annotations are looked at is sampled. It counts all keys and
what they have to do with each other, prompt by prompt, and needs no value to be seen twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmo_anchor.annotation import Annotation
from olmo_anchor.chat import encode_prompt
from olmo_anchor.engines import Engine, open_engine
from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.bootstrap import REPLICATES
from olmo_anchor.evaluation.groups import Groups
from olmo_anchor.evaluation.prior_sampled import Annotated
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = [
    "ScoredDrift",
    "annotation_log_probabilities",
    "log_scores",
    "mean_log_ratio",
    "not_plain_samples",
    "scored_drift",
]

Floats = NDArray[np.float64]

_PLAIN = {
    "temperature": 1.0,
    "top_p": 1.0,
    "min_p": 0.0,
    "annotation": "sample",
    "steer": [],
    "plan": "direct",
}


@dataclass(frozen=True)
class ScoredDrift:
    """KL in bits with its 95 % interval, and the same value in nats.

    :param n: annotations.
    :param prompts: that they were written after.
    """

    value: float
    low: float
    high: float
    nats: float
    n: int
    prompts: int


def not_plain_samples(config: Mapping[str, Any]) -> str | None:
    """Why the annotations of a generations file are not samples of the plain model, so that their
    mean is no KL; None where they are.

    :param config: of the file's manifest.
    """
    for name, plain in _PLAIN.items():
        if name in config and config[name] != plain:
            return f"they were made with {name} {config[name]!r}, a KL needs {plain!r}"
    return None


def annotation_log_probabilities(
    engine: Engine,
    tokenizer: AnchorTokenizer,
    prompts: Mapping[str, Any],
    annotations: Sequence[Annotated],
) -> Floats:
    """log p(annotation | prompt, an annotation begins), its closing delimiter included.

    The ids of an annotation are those of its text, as the overlay encodes it. (A model can sample
    other ids for the same text.)

    :param prompts: by their ids: raw text, or messages to be laid out by the chat template.
    :returns: natural logs, float64 ``[annotations]``.
    :raises InputError: when a prompt and its annotation do not fit into the model's context.
    """
    control = tokenizer.control
    asked = {
        name: tokenizer.encode(prompt)
        if isinstance(prompt, str)
        else encode_prompt(prompt, tokenizer)
        for name, prompt in prompts.items()
    }
    contexts, continuations = [], []
    for name, pairs in annotations:
        head, *rest = tokenizer.encode_annotation(Annotation.of(*pairs))
        assert head == control.open
        # vLLM samples one more token behind what it scores.
        if len(asked[name]) + len(rest) + 2 > engine.max_length:
            raise InputError(
                f"the prompt {name!r} and an annotation written after it have "
                f"{len(asked[name]) + len(rest) + 1} tokens, too many for a model that takes "
                f"{engine.max_length}: leave that prompt out of both generations files"
            )
        contexts.append([*asked[name], head])
        continuations.append(rest)
    return np.array(engine.score(contexts, continuations), np.float64)


def mean_log_ratio(
    own: ArrayLike,
    other: ArrayLike,
    prompts: Sequence[str],
    rng: np.random.Generator,
    *,
    replicates: int = REPLICATES,
) -> ScoredDrift:
    """The mean of ``own - other`` with an interval, from resampled prompts, then annotations.

    :param own, other: natural logs, ``[annotations]``.
    :param prompts: the prompt of each, ``[annotations]``.
    :raises ValueError: when there are none.
    """
    ratios = np.asarray(own, np.float64) - np.asarray(other, np.float64)
    if not len(ratios):
        raise ValueError("there are no annotations to score")
    different, of_prompt = np.unique(np.asarray(prompts), return_inverse=True)
    ratios = ratios[np.argsort(of_prompt, kind="stable")]
    groups = Groups(np.sort(of_prompt))
    drawn = [ratios[groups.within(groups.choose(rng), rng)].mean() for _ in range(replicates)]
    nats = float(ratios.mean())
    low, high = np.percentile(drawn, (2.5, 97.5)) / np.log(2)
    return ScoredDrift(
        nats / float(np.log(2)), float(low), float(high), nats, len(ratios), len(different)
    )


def scored_drift(
    own: tuple[Path, Mapping[str, Any]],
    other: tuple[Path, Mapping[str, Any]],
    annotations: Sequence[Annotated],
    rng: np.random.Generator,
    *,
    engine: str = "hf",
) -> ScoredDrift:
    """KL(own || other) of annotations per prompt, mean over what ``own`` wrote.

    :param own, other: a model folder and the same prompts by their ids, in that model's layout.
    :param annotations: sampled from ``own``; see :func:`not_plain_samples`. Annotations that were
        never closed are missing among them: the KL is that of the closed ones.
    :raises InputError: when a folder holds no model, or a prompt is too long for it.
    """
    logs = [log_scores(*side, annotations, engine) for side in (own, other)]
    return mean_log_ratio(logs[0], logs[1], [prompt for prompt, _ in annotations], rng)


def log_scores(
    model: Path, prompts: Mapping[str, Any], annotations: Sequence[Annotated], engine: str
) -> Floats:
    """:func:`annotation_log_probabilities` of a model folder.

    :raises InputError: as :func:`scored_drift`.
    """
    # The engine is gone when this returns: two models need not stand in memory at once.
    opened = open_engine(engine, model)
    return annotation_log_probabilities(opened, AnchorTokenizer.load(model), prompts, annotations)
