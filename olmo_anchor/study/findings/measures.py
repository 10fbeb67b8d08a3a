"""What the study reports of an arm, and where the arm's files say it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ATTRIBUTES", "ENOUGH_ANSWERS", "INVALID", "MEASURES", "Measure", "held_out", "measured"]

ATTRIBUTES = ("topic", "name", "place", "persona")
INVALID = "invalid."
"""Before a reason, its numbers left out: the share of the answers to open requests that are not
valid for it."""
ENOUGH_ANSWERS = 100
"""Valid answers below which there is no entropy: of fewer, 48 topics cannot be told from 20."""
_ESTIMATES = {"": "value", "_plug_in": "plug_in"}


@dataclass(frozen=True)
class Measure:
    """:param short: heads a column.
    :param axis: of a figure.
    """

    short: str
    axis: str
    meaning: str
    digits: int = 2


def _entropy(of: str) -> Measure:
    return Measure(
        f"{of} (bits)",
        f"{of} entropy of the answers (bits)",
        f"entropy of the {of} of the valid answers to open requests, by the estimate of Chao, Wang "
        "and Jost (2013)",
    )


def _gap(of: str) -> Measure:
    return Measure(
        f"gap closed, {of}",
        f"share of the {of} gap closed",
        f"(H of the arm - H of standard SFT) / (H of the standard base - H of standard SFT), {of} "
        "entropy; standard SFT on the same data, both of the same size",
    )


_NAMED = {"inside": "SFT topics named", "outside": "other topics named", "name": "name named"}
_OF_FOUR = "mean of the four"
MEASURES: dict[str, Measure] = {
    **{f"entropy.{one}": _entropy(one) for one in ATTRIBUTES},
    "entropy.mean": Measure(
        "mean (bits)",
        "entropy, mean of four attributes (bits)",
        "mean entropy of topic, name, place and persona: the paper's measure of Stories is such a "
        "mean, over its eight attributes",
    ),
    "entropy.topic_plug_in": Measure(
        "topic, plug-in (bits)",
        "topic entropy of the answers, plug-in (bits)",
        "the same of the topic by the plug-in estimate, as the paper has it: too low by about "
        "(topics - 1) / (2 n ln 2)",
    ),
    "n": Measure(
        "n",
        "valid answers that have a topic",
        "valid answers to open requests that the topic entropy is of; below "
        f"{ENOUGH_ANSWERS} no entropy is given",
        0,
    ),
    "gap.topic": _gap("topic"),
    "gap.persona": _gap("persona"),
    "gap.mean": _gap(_OF_FOUR),
    "valid": Measure(
        "valid",
        "valid answers (share)",
        "share of answers to open requests that are a whole story on one topic",
        3,
    ),
    "valid.inside": Measure(
        "valid, SFT topics", "valid answers (share)", "of those about a topic of the SFT data", 3
    ),
    "valid.outside": Measure(
        "valid, other topics", "valid answers (share)", "of those about any other topic", 3
    ),
    "style": Measure("style", "style of SFT (share)", "share told in the style that SFT teaches"),
    "no_annotation": Measure(
        "without annotation", "without annotation (share)", "share of answers without one"
    ),
    "unclosed": Measure(
        "unclosed", "unclosed (share)", "share that are no answer: the annotation never closed", 3
    ),
    "followed.topic": Measure(
        "annotation followed",
        "annotation followed (share)",
        "share of answers about the topic that their annotation says",
    ),
    "followed.name": Measure(
        "annotation followed, name", "annotation followed, name (share)", "the same of the hero"
    ),
    "request.inside": Measure(
        "request followed, SFT topics",
        "request followed (share)",
        "share of answers about the topic that the request names, topics of the SFT data",
    ),
    "request.outside": Measure(
        "request followed, other topics",
        "request followed, other topics (share)",
        "the same for topics that SFT never showed",
    ),
    "request.name": Measure(
        "request followed, name",
        "request followed, name (share)",
        "share of answers with the hero whom the request names",
    ),
    **{
        f"copied.{where}": Measure(
            f"copied, {says}",
            f"named value copied into the annotation, {says} (share)",
            f"share of the annotations that have the value which the request names, {says}",
        )
        for where, says in _NAMED.items()
    },
    "request_valid.inside": Measure(
        "valid, SFT topics named",
        "valid answers, SFT topics named (share)",
        "share of the answers to requests that name a topic of the SFT data that are valid",
        3,
    ),
    "request_valid.outside": Measure(
        "valid, other topics named",
        "valid answers, other topics named (share)",
        "the same for topics that SFT never showed",
        3,
    ),
    "kl.topic": Measure(
        "prior KL (bits)",
        "KL of the topic prior (bits)",
        "how far SFT moved the distribution of the first annotated value on open requests: "
        "KL(after || before), exact",
        3,
    ),
    **{
        f"kl.{where}": Measure(
            f"annotation KL, {says} (bits)",
            f"KL of the annotation, {says} (bits)",
            f"KL(after || before) of whole annotations, from those sampled, {says}; its tails are "
            "heavy, so that a few answers decide it, and it stands in no table",
        )
        for where, says in {"open": "open requests", **_NAMED}.items()
    },
    "perplexity.text": Measure(
        "held-out perplexity, text",
        "held-out perplexity of the text",
        "of the text of held-out conversations, for models that answer without annotations",
        3,
    ),
    "perplexity.given": Measure(
        "held-out perplexity, text, annotation given",
        "held-out perplexity of the text, annotation given",
        "of the same text with its annotation before it, for models that annotate; not to be "
        "ranked with that of the text alone. Of a base both are measured as its SFT begins",
        3,
    ),
    "loss": Measure(
        "held-out loss (nats)",
        "held-out loss of the text (nats per token)",
        "the logarithm of either perplexity",
        3,
    ),
    "value_loss_change": Measure(
        "value loss change (nats)",
        "change of the loss on annotation values (nats)",
        "held-out cross-entropy of the annotations' values, change since SFT began",
        3,
    ),
}
"""Of an arm at one seed. Entropies also as the plug-in, as the paper has them (``entropy.topic
_plug_in``), and the gaps closed from these."""

_PATHS = {
    "valid": ("valid",),
    "valid.inside": ("valid_where", "inside"),
    "valid.outside": ("valid_where", "outside"),
    "style": ("style",),
    "no_annotation": ("no_annotation",),
    "unclosed": ("unclosed",),
    "followed.topic": ("annotation_followed", "topic"),
    "followed.name": ("annotation_followed", "name"),
    "request.inside": ("request_followed", "topic_inside"),
    "request.outside": ("request_followed", "topic_outside"),
    "request.name": ("request_followed", "name"),
    "request_valid.inside": ("request_valid", "topic_inside"),
    "request_valid.outside": ("request_valid", "topic_outside"),
    "copied.inside": ("request_in_annotation", "topic_inside"),
    "copied.outside": ("request_in_annotation", "topic_outside"),
    "copied.name": ("request_in_annotation", "name"),
    "kl.topic": ("prior_kl_bits", "topic"),
    "kl.open": ("annotation_kl_bits", "open"),
    "kl.inside": ("annotation_kl_bits", "topic_inside"),
    "kl.outside": ("annotation_kl_bits", "topic_outside"),
    "kl.name": ("annotation_kl_bits", "name"),
    "n": ("entropy_bits", "topic", "n"),
}


def measured(
    arm: Mapping[str, Any], last: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """The measures of an arm that its own files say, and why others are withheld.

    :param arm: ``arms.NAME`` of its ``summary.json``.
    :param last: the last value of each series of its run's ``metrics.jsonl``.
    """
    found: dict[str, float | None] = {}
    few: dict[str, str] = {}
    for suffix, field in _ESTIMATES.items():
        of = {one: _number(arm, ("entropy_bits", one, field)) for one in ATTRIBUTES}
        keys = {one: f"entropy.{one}{suffix}" for one in ATTRIBUTES}
        for one in ATTRIBUTES:
            n = _number(arm, ("entropy_bits", one, "n"))
            if n is not None and n < ENOUGH_ANSWERS:
                few |= {keys[one]: f"n {n:.0f}", f"entropy.mean{suffix}": f"n {n:.0f}"}
                of[one] = None
        found |= {keys[one]: value for one, value in of.items()}
        all_four = [value for value in of.values() if value is not None]
        if len(all_four) == len(ATTRIBUTES):
            found[f"entropy.mean{suffix}"] = math.fsum(all_four) / len(all_four)
    found |= {key: _number(arm, path) for key, path in _PATHS.items()}
    if samples := _number(arm, ("samples",)):
        reasons = arm.get("invalid_reasons") or {}
        for reason, count in reasons.items():
            key = INVALID + re.sub(r"\d+", "n", reason)
            found[key] = (found.get(key) or 0.0) + count / samples
    found |= held_out(last)
    found["value_loss_change"] = last.get("drift/value/CE loss change")
    return {key: value for key, value in found.items() if value is not None}, few


def held_out(series: Mapping[str, float]) -> dict[str, float]:
    """Loss and perplexity of held-out text, by one evaluation's series.

    What is measured has annotations where the loss of their values is among the series.
    """
    if (loss := series.get("drift/text/CE loss")) is None:
        return {}
    given = "drift/value/CE loss" in series
    return {"loss": loss, f"perplexity.{'given' if given else 'text'}": math.exp(loss)}


def _number(found: Any, path: tuple[str, ...]) -> float | None:
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get("value")  # measured with an interval of its own, over samples
    return float(found) if isinstance(found, int | float) else None
