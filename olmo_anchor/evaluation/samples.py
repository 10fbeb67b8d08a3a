"""Generations, judged: one :class:`Sample` per response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from olmo_anchor.errors import WorkFailed
from olmo_anchor.evaluation.generations import read_generations
from olmo_anchor.evaluation.judges.base import Verdict
from olmo_anchor.evaluation.judges.callables import ResponseJudge

__all__ = ["Sample", "judge_file"]


@dataclass(frozen=True)
class Sample:
    """A response and what the judge says of it.

    :param kind: of the prompt, from its record.
    :param fields: the other fields of the prompt's record, such as the topic that it names.
    :param annotation: (key, value) pairs that the model wrote before the response; None if it wrote
        no whole annotation.
    :param no_annotation: an annotation was looked for and there is none.
    """

    model: str
    prompt_id: str
    sample: int
    prompt: Any
    kind: str | None
    fields: Mapping[str, Any]
    response: str | None
    annotation: tuple[tuple[str, str], ...] | None
    no_annotation: bool
    unclosed: bool
    verdict: Verdict

    def followed(self) -> bool | None:
        """Whether every annotated label that the judge knows of is the response's; None without
        one."""
        if self.annotation is None:
            return None
        known = [(k, v) for k, v in self.annotation if k in self.verdict.labels]
        return bool(known) and all(self.verdict.labels[key] == value for key, value in known)

    def record(self) -> dict[str, Any]:
        """What ``scores.jsonl`` holds: labels, not texts."""
        left_out = ("prompt", "response", "fields", "verdict")
        scores = {name: value for name, value in asdict(self).items() if name not in left_out}
        return {**scores, **asdict(self.verdict), "followed": self.followed()}


def judge_file(
    model: str, path: Path, judge: ResponseJudge, labels: Sequence[str]
) -> Iterator[Sample]:
    """Judge every response of a generations file. A missing response is judged as an empty one.

    :param labels: what every verdict must have, be they None.
    :raises WorkFailed: when the judge fails on a response, or leaves a label out.
    """
    for record in read_generations(path):
        fields = record.get("prompt_fields") or {}
        annotation = record["annotation"]
        yield Sample(
            model=model,
            prompt_id=str(record["prompt_id"]),
            sample=int(record["sample"]),
            prompt=record["prompt"],
            kind=fields.get("kind"),
            fields=fields,
            response=record["response"],
            annotation=None if annotation is None else tuple((k, v) for k, v in annotation),
            no_annotation=bool(record["no_annotation"]),
            unclosed=bool(record["unclosed"]),
            verdict=_verdict(record, path, judge, labels),
        )


def _verdict(
    record: Mapping[str, Any], path: Path, judge: ResponseJudge, labels: Sequence[str]
) -> Verdict:
    failed = (
        f"{path}: the judge {judge.name} failed on sample {record['sample']} of prompt "
        f"{str(record['prompt_id'])!r}"
    )
    try:
        verdict = judge(record["response"] or "")
    except Exception as error:  # it may be anybody's code
        raise WorkFailed(f"{failed}: {type(error).__name__}: {error}") from error
    if missing := [label for label in labels if label not in verdict.labels]:
        raise WorkFailed(f"{failed}: its verdict has no {missing[0]!r}, not even None")
    return verdict
