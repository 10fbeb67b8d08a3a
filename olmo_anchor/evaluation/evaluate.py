"""Suites of ``labels``, ``arms`` and ``text``: answers that are there, judged, scored and compared.

What comes out of either is the records of ``scores.jsonl`` (one line per response: labels,
validity, style, whether the annotation was followed; one line per prompt where answers are compared
without labels) and the numbers of ``summary.json``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.arm_prior import Priors
from olmo_anchor.evaluation.arms import asked_of, measure_arm
from olmo_anchor.evaluation.compare import compare
from olmo_anchor.evaluation.judges.callables import load_callable
from olmo_anchor.evaluation.open_text import score_prompts, summarise_text
from olmo_anchor.evaluation.samples import Sample, judge_file
from olmo_anchor.evaluation.suite import ArmSuite, Suite, TextSuite
from olmo_anchor.evaluation.summary import examples, summarise_arm
from olmo_anchor.evaluation.taught import read_taught
from olmo_anchor.progress import progress

__all__ = ["Scores", "compare_texts", "judge_labels", "measure_arms"]

Scores = Mapping[str, list[dict[str, Any]]]
"""Records of ``scores.jsonl``, by model."""


def judge_labels(
    suite: Suite, path: Path, models: Mapping[str, Path], engine: str
) -> tuple[Scores, dict[str, Any]]:
    """
    :param path: of the suite, for what is said of it.
    :param models: name to generations file; names that the suite compares must be its own.
    :param engine: scores the prior, where the suite has one and both models are given.
    :raises InputError: for a file that is none, or a judge that does not fit the suite.
    """
    judge = load_callable(suite.judge)
    if suite.entropy_of not in judge.values:
        raise InputError(f"{path}: the judge {judge.name} knows no {suite.entropy_of!r}")
    if suite.prior is not None and not judge.values.get(suite.prior.key):
        raise InputError(
            f"{path}: the judge {judge.name} lists no values of {suite.prior.key!r}, "
            "whose prior the suite compares"
        )
    arms: dict[str, list[Sample]] = {}
    with progress("judging files", len(models)) as advance:
        for name, file in models.items():
            arms[name] = list(judge_file(name, file, judge, (suite.entropy_of,)))
            _check_kinds(file, arms[name], suite)
            advance()
    label = suite.entropy_of
    known = judge.values[label]
    maximum = math.log2(len(known)) if known else None
    compared = compare(arms, models, suite, judge, engine)
    other_kinds = {
        name: said for name, samples in arms.items() if (said := _other_kinds(samples, suite))
    }
    summary = {
        "suite": suite.name,
        "note": suite.note,
        "judge": judge.name,
        "arms": {
            name: {
                **summarise_arm(samples, suite, maximum),
                "examples": examples(samples, suite),
            }
            for name, samples in arms.items()
        },
        **compared,
        "not_measured": {**other_kinds, **compared["not_measured"]},
        "max_entropy_bits": maximum,
        f"sft_{label}s": _taught(arms, suite),
    }
    return {name: [one.record() for one in samples] for name, samples in arms.items()}, summary


def measure_arms(
    suite: ArmSuite,
    path: Path,
    models: Mapping[str, Path],
    taught: Mapping[str, Path],
    before: Mapping[str, Path],
    engine: str,
) -> tuple[Scores, dict[str, Any]]:
    """
    :param path: of the suite, for what is said of it.
    :param models: name to generations file.
    :param taught: name to the labels of the SFT data (:mod:`~olmo_anchor.evaluation.taught`).
    :param before: name to the folder of the model that post-training started from.
    :param engine: scores the prior of arms with a model before.
    :raises InputError: for a file that is none, or a judge that does not fit the suite.
    """
    judge = load_callable(suite.judge)
    if strange := [label for label in suite.labels() if label not in judge.values]:
        raise InputError(f"{path}: the judge {judge.name} knows no {strange[0]!r}")
    inside = {}
    if suite.taught is not None:
        inside = {name: read_taught(file, suite.taught) for name, file in taught.items()}
    priors = Priors(suite, judge.values, engine)
    scores, arms = {}, {}
    reasons: dict[str, str] = {}
    with progress("judging files", len(models)) as advance:
        for name, file in models.items():
            samples = list(judge_file(name, file, judge, suite.labels()))
            opened = [one for one in samples if one.kind == suite.open_kind]
            asked = asked_of(samples, suite, inside.get(name))
            drift, unknown = priors.of_arm(opened, asked, before.get(name), file)
            if suite.taught is not None and name not in inside:
                unknown["inside and outside"] = "--taught says which values the SFT data have"
            arms[name] = {
                **measure_arm(opened, asked, suite, judge.values, inside.get(name)),
                **drift,
            }
            scores[name] = [one.record() for one in samples]
            reasons |= {f"{name}: {what}": why for what, why in unknown.items()}
            advance()
    summary = {
        "suite": suite.name,
        "note": suite.note,
        "judge": judge.name,
        "arms": arms,
        "not_measured": reasons,
    }
    return scores, summary


def compare_texts(suite: TextSuite, models: Mapping[str, Path]) -> tuple[Scores, dict[str, Any]]:
    """:raises InputError: for a file that is none, or an embedder that is not there."""
    arms, records = {}, {}
    with progress("embedding files", len(models)) as advance:
        for name, path in models.items():
            scores, shares = score_prompts(name, path, suite)
            arms[name] = summarise_text(scores, shares, suite)
            records[name] = [asdict(score) for score in scores]
            advance()
    summary = {
        "suite": suite.name,
        "note": suite.note,
        "embedder": suite.embedder,
        "arms": arms,
    }
    return records, summary


def _check_kinds(path: Path, samples: list[Sample], suite: Suite) -> None:
    known = (suite.open_kind, *suite.named_kinds)
    if not any(sample.kind in known for sample in samples):
        raise InputError(
            f"{path}: its prompts have the kind {samples[0].kind!r}, the suite has "
            f"{', '.join(known)}: the field `kind` of a prompt's record says which it is"
        )


def _other_kinds(samples: list[Sample], suite: Suite) -> str | None:
    known = (suite.open_kind, *suite.named_kinds, *suite.other_kinds)
    others = [s.kind for s in samples if s.kind not in known]
    kinds = ", ".join(sorted({"none" if kind is None else str(kind) for kind in others}))
    return f"{len(others)} responses to prompts of other kinds: {kinds}" if others else None


def _taught(arms: Mapping[str, list[Sample]], suite: Suite) -> list[str]:
    """The labels that the prompts of the first named kind name: those of the SFT data."""
    named = (
        sample.fields.get(suite.entropy_of)
        for samples in arms.values()
        for sample in samples
        if sample.kind in suite.named_kinds[:1]
    )
    return list(dict.fromkeys(label for label in named if label is not None))
