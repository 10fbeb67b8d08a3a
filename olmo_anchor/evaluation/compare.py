"""What a suite compares between models: the share of the gap closed, and prior drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from olmo_anchor.evaluation.bootstrap import gap_closed
from olmo_anchor.evaluation.generations import NotMeasured, model_of
from olmo_anchor.evaluation.judges.callables import ResponseJudge
from olmo_anchor.evaluation.prior import paired_prompts, prior_kl_bits
from olmo_anchor.evaluation.samples import Sample
from olmo_anchor.evaluation.suite import Gap, Prior, Suite
from olmo_anchor.evaluation.summary import label_counts

__all__ = ["compare"]

Arms = Mapping[str, Sequence[Sample]]


def compare(
    arms: Arms, generations: Mapping[str, Path], suite: Suite, judge: ResponseJudge, engine: str
) -> dict[str, Any]:
    """``gap_closed``, ``gap_closed_from_VARIANT`` and ``prior_kl_bits``, as the suite asks.

    What could not be measured is None, and ``not_measured`` says why, by name.

    :raises InputError: when two models whose priors are compared did not answer the same requests,
        or one takes too few tokens for a request and an annotation.
    """
    wanted: dict[str, Callable[[], Any]] = {}
    if suite.gap is not None:
        wanted["gap_closed"] = partial(_gap, arms, suite.gap.base, suite.gap, suite)
        if (variant := suite.gap.base_variant) is not None:
            wanted[f"gap_closed_from_{variant}"] = partial(_gap, arms, variant, suite.gap, suite)
    if suite.prior is not None:
        wanted["prior_kl_bits"] = partial(
            _prior, arms, generations, suite.prior, suite, judge, engine
        )
    found: dict[str, Any] = {"prior_kl_bits": None}
    reasons: dict[str, str] = {}
    for name, measure in wanted.items():
        try:
            found[name] = measure()
        except NotMeasured as why:
            found[name], reasons[name] = None, str(why)
    return {**found, "not_measured": reasons}


def _gap(arms: Arms, base: str, gap: Gap, suite: Suite) -> dict[str, float]:
    names = (base, gap.sft, gap.anchored)
    _need(arms, names)
    counts = [
        list(label_counts(arms[name], suite.entropy_of, suite.open_kind).values()) for name in names
    ]
    for name, labels in zip(names, counts, strict=True):
        if not labels:
            raise NotMeasured(f"{name} has no valid answer to a prompt of kind {suite.open_kind}")
    from_base, sft, anchored = counts
    try:
        return asdict(gap_closed(from_base, sft, anchored, np.random.default_rng(suite.seed)))
    except ValueError as why:
        raise NotMeasured(str(why)) from None


def _prior(
    arms: Arms,
    generations: Mapping[str, Path],
    prior: Prior,
    suite: Suite,
    judge: ResponseJudge,
    engine: str,
) -> float:
    names = (prior.before, prior.after)
    _need(arms, names)
    before, after = (model_of(generations[name]) for name in names)
    asked = [
        {one.prompt_id: one.prompt for one in arms[name] if one.kind == suite.open_kind}
        for name in names
    ]
    pairs = paired_prompts((names[0], asked[0]), (names[1], asked[1]))
    if not pairs:
        raise NotMeasured(f"no prompt is of kind {suite.open_kind}")
    prompts = [{name: pair[side] for name, pair in pairs.items()} for side in (0, 1)]
    values = judge.values[prior.key]
    return prior_kl_bits(
        (before, prompts[0]), (after, prompts[1]), prior.key, values, engine=engine
    )


def _need(arms: Arms, names: Sequence[str]) -> None:
    if missing := [name for name in names if name not in arms]:
        raise NotMeasured(f"no --model is named {missing[0]}")
