"""The numbers of one arm by itself: how varied its answers are, and what was paid for that.

Over answers to open prompts, which name nothing::

    samples               how many
    entropy_bits          of each label over valid answers: Chao-Wang-Jost with its interval, the
                          plug-in (paper, eq. 4) and the most that is possible beside it
    counts                of each label over valid answers
    valid                 share
    taught                the values of the label `taught` that the SFT data have
    valid_where           the same by what the answer is about: the value of the label `taught` in
                          its annotation, else (no annotation, or one that has no such value) its
                          own; answers without either are `unplaced` in valid_where_n
    invalid_reasons       how often, by kind
    style                 share
    no_annotation, unclosed     shares
    annotation_known      share of the annotated values that are any value at all, by key
    annotation_followed   share of the annotated values that are the answer's, by key

Over answers to prompts that name a value, valid or not::

    requests                how many
    request_followed        share with the value named
    request_valid           share
    request_in_annotation   share whose annotation has the value named, of those with an annotation

Inside are the values that the SFT data teach, outside all others; without the former neither is
known. Shares are None where there is nothing to count.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from olmo_anchor.evaluation.entropy import chao_wang_jost_each, coverage, plug_in
from olmo_anchor.evaluation.samples import Sample
from olmo_anchor.evaluation.suite import ArmSuite
from olmo_anchor.evaluation.summary import estimated, examples, label_counts, share

__all__ = ["Asked", "asked_of", "measure_arm", "reason_kind"]

Values = Mapping[str, Sequence[str]]
Named = tuple[str, str, Sample]
"""A label, the value of it that the prompt names, and the answer."""
Asked = Mapping[str, Sequence[Named]]
"""Answers to prompts that name a value, by label; those of the label ``taught`` by side."""

_SIDES = ("inside", "outside")


def measure_arm(
    opened: Sequence[Sample],
    asked: Asked,
    suite: ArmSuite,
    values: Values,
    taught: frozenset[str] | None,
) -> dict[str, Any]:
    """
    :param opened: answers to open prompts.
    :param values: of each label, all that the judge knows; empty where they cannot be listed.
    :param taught: the values of ``suite.taught`` in the SFT data; None where they are not known.
    """
    counts = {label: label_counts(opened, label, suite.open_kind) for label in suite.entropy_of}
    where = _where(opened, suite.taught, values, taught)
    return {
        "samples": len(opened),
        "entropy_bits": {
            label: _entropy(list(found.values()), suite.seed, len(values[label]))
            for label, found in counts.items()
        },
        "counts": counts,
        "valid": _valid(opened),
        "valid_where": {side: _valid(where[side]) for side in _SIDES},
        "valid_where_n": {side: len(where[side]) for side in (*_SIDES, "unplaced")},
        "taught": None if taught is None else sorted(taught),
        "invalid_reasons": _reasons(opened),
        "style": share(s.verdict.styled for s in opened),
        "no_annotation": share(s.no_annotation for s in opened),
        "unclosed": share(s.unclosed for s in opened),
        "annotation_known": _by_key(opened, values, _is_known(values)),
        "annotation_followed": _by_key(opened, values, _is_followed),
        "requests": {name: len(found) for name, found in asked.items()},
        "request_followed": {
            name: share(s.verdict.labels[label] == value for label, value, s in found)
            for name, found in asked.items()
        },
        "request_valid": {name: _valid(s for *_, s in found) for name, found in asked.items()},
        "request_in_annotation": _in_annotation(asked),
        "examples": examples(opened, suite),
    }


def reason_kind(reason: str) -> str:
    """What is wrong, without what a judge quotes or lists of the answer.

    That is all before the first quotation mark and the second colon: ``"topic: several: the sky,
    sports"`` is a ``"topic: several"``.
    """
    unquoted = re.split(r"['\"]", reason, maxsplit=1)[0]
    return ":".join(unquoted.split(":")[:2]).strip(" :")


def _entropy(counts: Sequence[int], seed: int, labels: int) -> dict[str, Any]:
    maximum = math.log2(labels) if labels else None
    n = sum(counts)
    return {
        **estimated(counts, chao_wang_jost_each, seed, maximum),
        "max": maximum,
        "plug_in": plug_in(counts) if n else None,
        "n": n,
        "coverage": coverage(counts) if n else None,
    }


def _valid(samples: Iterable[Sample]) -> float | None:
    return share(s.verdict.valid for s in samples)


def _where(
    opened: Sequence[Sample], label: str | None, values: Values, taught: frozenset[str] | None
) -> Mapping[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    if label is not None and taught is not None:
        for s in opened:
            annotated = (v for k, v in s.annotation or () if k == label and v in values[label])
            # An annotation is written before the answer can go wrong: it places those that did.
            about = next(annotated, s.verdict.labels[label])
            found["unplaced" if about is None else _side(about, taught)].append(s)
    return found


def _side(value: str, taught: frozenset[str]) -> str:
    return _SIDES[value not in taught]


def _reasons(opened: Sequence[Sample]) -> dict[str, int]:
    wrong = (s for s in opened if not s.verdict.valid)
    kinds = (
        reason_kind(s.verdict.reasons.get("valid", "no reason given"))
        if s.response
        else "no response"
        for s in wrong
    )
    return dict(Counter(kinds).most_common())


def _is_known(values: Values) -> Callable[[Sample, str, str], bool]:
    return lambda _, key, value: value in values[key]


def _is_followed(sample: Sample, key: str, value: str) -> bool:
    return sample.verdict.labels[key] == value


def _by_key(
    opened: Sequence[Sample], values: Values, holds: Callable[[Sample, str, str], bool]
) -> dict[str, float | None] | None:
    """None where nothing was annotated."""
    found: dict[str, list[bool]] = {}
    for sample in opened:
        for key, value in sample.annotation or ():
            if key in values:
                found.setdefault(key, []).append(holds(sample, key, value))
    return {key: share(held) for key, held in found.items()} or None


def asked_of(
    samples: Sequence[Sample], suite: ArmSuite, taught: frozenset[str] | None
) -> dict[str, list[Named]]:
    """
    :param taught: as :func:`measure_arm` has it.
    :returns: see :data:`Asked`.
    """
    found: dict[str, list[Named]] = {}
    for label in suite.requests:
        named = [
            (label, str(value), s)
            for s in samples
            if s.kind != suite.open_kind and (value := s.fields.get(label)) is not None
        ]
        if label != suite.taught:
            found[label] = named
            continue
        for side in _SIDES:
            found[f"{label}_{side}"] = [
                one for one in named if taught is not None and _side(one[1], taught) == side
            ]
    return found


def _in_annotation(asked: Asked) -> dict[str, float | None] | None:
    shares = {
        name: share((label, value) in s.annotation for label, value, s in found if s.annotation)
        for name, found in asked.items()
    }
    return shares if any(one is not None for one in shares.values()) else None
