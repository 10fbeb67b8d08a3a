"""From judged samples to the numbers of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from olmo_anchor.evaluation.bootstrap import Estimator, interval
from olmo_anchor.evaluation.entropy import (
    chao_shen,
    chao_wang_jost_each,
    coverage,
    coverage_warning,
    miller_madow,
    plug_in_each,
)
from olmo_anchor.evaluation.samples import Sample
from olmo_anchor.evaluation.suite import ArmSuite, Suite

__all__ = ["estimated", "examples", "label_counts", "share", "summarise_arm"]


_NOTHING_NAMED = object()


def share(of: Iterable[bool | None]) -> float | None:
    """Of those that are not None; None where there are none."""
    values = [one for one in of if one is not None]
    return sum(values) / len(values) if values else None


def label_counts(samples: Iterable[Sample], label: str, open_kind: str) -> dict[str, int]:
    """Counts of the values of a label over the valid responses to open prompts, by value."""
    labels = (s.verdict.labels[label] for s in samples if s.kind == open_kind and s.verdict.valid)
    counts = Counter(label for label in labels if label is not None)
    return dict(sorted(counts.items()))


def examples(
    samples: Iterable[Sample], suite: Suite | ArmSuite, count: int = 8
) -> list[dict[str, Any]]:
    """The first responses to open prompts, valid or not, for a reader to look at."""
    opened = [sample for sample in samples if sample.kind == suite.open_kind][:count]
    return [
        {
            "prompt": s.prompt if isinstance(s.prompt, str) else s.prompt[-1]["content"],
            "annotation": s.annotation,
            "response": s.response,
            "labels": s.verdict.labels,
            "valid": s.verdict.valid,
        }
        for s in opened
    ]


def summarise_arm(
    samples: Sequence[Sample], suite: Suite, maximum: float | None = None
) -> dict[str, Any]:
    """The numbers of one model.

    Entropy is over valid responses: the plug-in, and other estimates beside it. ``valid`` and
    ``style`` are shares of all responses to open prompts; ``annotation_followed`` of those with an
    annotation; ``request_followed`` of all responses to prompts that name a value. Shares are None
    where there is nothing to count.

    :param maximum: the entropy of a uniform choice among all labels, in bits, where it is known; no
        interval ends above it.
    """
    opened = [s for s in samples if s.kind == suite.open_kind]
    by_label = label_counts(samples, suite.entropy_of, suite.open_kind)
    counts = list(by_label.values())
    n = sum(counts)
    followed = [f for f in (s.followed() for s in opened) if f is not None]
    return {
        f"{suite.entropy_of}_entropy_bits": {
            **estimated(counts, plug_in_each, suite.seed, maximum),
            "n": n,
            "miller_madow": miller_madow(counts) if n else None,
            "chao_shen": chao_shen(counts) if n else None,
            "chao_wang_jost": estimated(counts, chao_wang_jost_each, suite.seed, maximum),
            "coverage": coverage(counts) if n else None,
            "coverage_warning": coverage_warning(counts) if n else None,
        },
        f"{suite.entropy_of}_counts": by_label,
        "samples": len(opened),
        "valid_n": sum(s.verdict.valid for s in opened),
        "valid": share(s.verdict.valid for s in opened),
        "style": share(s.verdict.styled for s in opened),
        "annotation_followed": share(followed),
        "no_annotation": share(s.no_annotation for s in opened),
        "unclosed": share(s.unclosed for s in opened),
        "request_followed": {
            kind: share(
                s.verdict.labels[suite.entropy_of] == s.fields.get(suite.entropy_of, _NOTHING_NAMED)
                for s in samples
                if s.kind == kind
            )
            for kind in suite.named_kinds
        },
    }


def estimated(
    counts: Sequence[int], estimate: Estimator, seed: int, maximum: float | None
) -> dict[str, float | None]:
    """``value``, ``low`` and ``high`` in bits, all None where nothing was counted."""
    if not sum(counts):
        return {"value": None, "low": None, "high": None}
    found = interval(counts, np.random.default_rng(seed), estimate)
    if maximum is not None:
        # A corrected estimate itself may lie above what is possible, and is left there.
        found = replace(found, high=max(min(found.high, maximum), found.value))
    return asdict(found)
