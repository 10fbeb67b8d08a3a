"""The second stage: what judges say of the answers.

OUT/judged/WHAT.JUDGE/NAME.jsonl   {"key", "labels", "valid", "scores", "reasons"} or
                                   {"key", "failed"}, one line per answer, appended as they come
OUT/judged/WHAT.JUDGE/NAME.json    written last: what judged, and which file
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.judges.base import Failed, Item, Outcome, Verdict, item_key
from olmo_anchor.evaluation.judges.spec import JudgeSpec, Models, open_judge
from olmo_anchor.journal import Journal
from olmo_anchor.manifest import file_record, sha256_file, write_json
from olmo_anchor.progress import progress
from olmo_anchor.suites.answers import Arm
from olmo_anchor.suites.process import apart
from olmo_anchor.suites.spec import Judges

__all__ = ["Asking", "Judged", "check_judges", "judge_arms", "judges_of"]

_CALLABLE = re.compile(r"[\w.]+:[\w.]+(\(.*\))?")


@dataclass(frozen=True)
class Judged:
    """What one judge said of all arms.

    :param what: ``labels`` or ``quality``.
    :param name: of the judge.
    :param outcomes: by arm, then by the key of the answer.
    """

    what: str
    name: str
    identity: dict[str, Any]
    outcomes: Mapping[str, Mapping[str, Outcome]]

    def verdicts(self, arm: Arm) -> dict[str, Verdict]:
        """Those of an arm, by key; failures are left out."""
        found = self.outcomes[arm.name]
        return {key: one for key, one in found.items() if isinstance(one, Verdict)}

    def failures(self, arm: Arm) -> Counter[str]:
        """How often each reason."""
        outcomes = self.outcomes[arm.name].values()
        return Counter(one.reason for one in outcomes if isinstance(one, Failed))


@dataclass(frozen=True)
class Asking:
    """A judge that is wanted.

    :param given: the call names it. One that only the suite implies may be absent: that is told.
    """

    what: str
    spec: JudgeSpec
    given: bool

    @property
    def name(self) -> str:
        """Told without writing anything.

        :raises InputError: when there is no such judge.
        """
        return open_judge(replace(self.spec, cache=None)).name


@dataclass(frozen=True)
class _Work:
    """What one judge has yet to judge, by arm."""

    what: str
    spec: JudgeSpec
    folder: Path
    items: Mapping[str, Sequence[Item]]

    @property
    def in_vllm(self) -> bool:
        return _is_model(self.spec) and not self.spec.url


def judges_of(wanted: Judges, given: Sequence[str], cache: Path) -> list[Asking]:
    """What judges what: the suite's prompt sets, asked of the models that the call names.

    :param given: ``MODEL``, ``MODEL@URL`` (several URLs with commas between), either for one set of
        prompts alone behind ``SET=``; ``file:PATH`` or ``package.module:attribute``, which take the
        place of the prompts for labels.
    :raises InputError: when one is given twice, or there is nothing for it to judge.
    """
    uses = {"labels": wanted.labels, "quality": wanted.quality}
    if len(set(given)) < len(given):
        raise InputError("--judge: the same is given twice")
    found: list[Asking] = []
    for what, use in uses.items():
        if use is None:
            continue
        if ":" in use:
            found.append(Asking(what, JudgeSpec(use=use), given=True))
            continue
        models = [model for one in given if (model := _model_for(use, one, uses)) is not None]
        code = [one for one in given if _is_code(one)] if what == "labels" else []
        found += [Asking(what, JudgeSpec(use=one), given=True) for one in code]
        for one in models or ([] if code or given else [""]):
            model, _, urls = one.partition("@")
            url = tuple(url for url in urls.split(",") if url)
            spec = _spec(wanted, use=use, model=model or None, url=url, cache=cache)
            found.append(Asking(what, spec, given=bool(given)))
    if given and not found:
        raise InputError(f"--judge {given[0]}: the suite has nothing that it could judge")
    return found


def _spec(wanted: Judges, **given: Any) -> JudgeSpec:
    known = {one.name for one in fields(JudgeSpec)} - given.keys()
    if unknown := [name for name in wanted.options if name not in known]:
        raise InputError(
            f"judge: options: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    return JudgeSpec(**given, **wanted.options)


def _is_code(given: str) -> bool:
    return given.startswith("file:") or bool(_CALLABLE.fullmatch(given))


def _is_model(spec: JudgeSpec) -> bool:
    return not _is_code(spec.use)


def _model_for(use: str, given: str, uses: Mapping[str, str | None]) -> str | None:
    """``MODEL@URL`` where it is for this set of prompts."""
    if _is_code(given):
        return None
    only, equals, model = given.partition("=")
    if equals and only in uses.values():
        return model if only == use else None
    return given


def check_judges(judges: Sequence[Asking]) -> None:
    """:raises InputError: for one that cannot be had, or two that could not be told apart."""
    names = [(one.what, _file_name(one.name)) for one in judges]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--judge: two judges of {name[0]} are both called {name[1]}")


def judge_arms(
    judges: Sequence[Asking], arms: Sequence[Arm], out: Path
) -> tuple[list[Judged], dict[str, str]]:
    """Judge what is not judged yet.

    An answer without a text is not shown to a judge and has no verdict.

    :returns: what was said, and why there is nothing of judges that are not there, by ``what``.
    :raises InputError: when ``out`` holds verdicts of another judge or on other answers; and what
        the judge raises.
    :raises WorkFailed: when the judge has gone away; what it said is kept.
    """
    opened = [(one, open_judge(one.spec)) for one in judges]
    folders = [out / "judged" / f"{one.what}.{_file_name(judge.name)}" for one, judge in opened]
    works = [
        _Work(one.what, one.spec, folder, missing)
        for (one, judge), folder in zip(opened, folders, strict=True)
        if (missing := _missing(arms, folder, judge.identity()))
    ]
    absent = _run(works, {one.spec for one in judges if one.given})
    found = []
    for (one, judge), folder in zip(opened, folders, strict=True):
        if one.what not in absent:
            identity = judge.identity()
            outcomes = {arm.name: _finish(arm, folder, identity) for arm in arms}
            found.append(Judged(one.what, judge.name, identity, outcomes))
    return found, absent


def _run(works: Sequence[_Work], given: Collection[JudgeSpec]) -> dict[str, str]:
    """Judge; each model that is loaded here has a process of its own, for all that it judges.

    :returns: why a judge that nobody named could not be asked.
    """
    groups: dict[Any, list[_Work]] = {}
    for work in works:
        groups.setdefault(work.spec.model if work.in_vllm else id(work), []).append(work)
    absent: dict[str, str] = {}
    for group in groups.values():
        try:
            apart(_judge, group) if group[0].in_vllm else _judge(group)
        except InputError as error:
            if any(work.spec in given for work in group):
                raise
            absent.update({work.what: str(error) for work in group})
    return absent


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "judge"


def _items(arm: Arm) -> list[Item]:
    return [
        Item(item_key(arm.name, one.prompt_id, one.sample), one.prompt, one.response or "")
        for one in arm.answers
        if one.said
    ]


def _missing(arms: Sequence[Arm], folder: Path, identity: dict[str, Any]) -> dict[str, list[Item]]:
    return {arm.name: items for arm in arms if (items := _unjudged(arm, folder, identity))}


def _unjudged(arm: Arm, folder: Path, identity: dict[str, Any]) -> list[Item]:
    told = folder / f"{arm.name}.json"
    about = _about(arm, identity)
    if told.is_file():
        if orjson.loads(told.read_bytes())["about"] != about:
            raise InputError(
                f"{told}: is of another judge, or of other answers than {arm.path} has now; "
                "remove its folder, or begin again with --overwrite"
            )
    else:
        write_json(told, {"about": about})
    done = {key for key, _ in _read(folder / f"{arm.name}.jsonl")}
    return [item for item in _items(arm) if item.key not in done]


def _about(arm: Arm, identity: dict[str, Any]) -> dict[str, Any]:
    about = {"judge": identity, "answers": sha256_file(arm.path)}
    found: dict[str, Any] = orjson.loads(orjson.dumps(about, default=str))
    return found


def _judge(works: Sequence[_Work]) -> None:
    """Each arm's verdicts to its file, as they come."""
    models = Models()
    for work in works:
        judge = open_judge(work.spec, models)
        place = {item.key: name for name, items in work.items.items() for item in items}
        every = (item for items in work.items.values() for item in items)
        with ExitStack() as stack:
            journals = {
                name: stack.enter_context(Journal(work.folder / f"{name}.jsonl"))
                for name in work.items
            }
            advance = stack.enter_context(progress(f"judging {work.what}", len(place)))
            for key, outcome in judge.judge(every):
                journals[place[key]].append({"key": key, **_record(outcome)})
                advance()


def _record(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failed):
        return {"failed": outcome.reason, "answer": outcome.answer}
    return {
        "labels": outcome.labels,
        "valid": outcome.valid,
        "styled": outcome.styled,
        "reasons": outcome.reasons,
        "scores": outcome.scores,
    }


def _read(path: Path) -> Iterator[tuple[str, Outcome]]:
    if not path.is_file():
        return
    with Journal(path) as journal:
        for record in journal.records():
            key = record.pop("key")
            if "failed" in record:
                yield key, Failed(record["failed"], record["answer"])
            else:
                yield key, Verdict(**record)


def _finish(arm: Arm, folder: Path, identity: dict[str, Any]) -> dict[str, Outcome]:
    """The outcomes, by the key of the answer."""
    path = folder / f"{arm.name}.jsonl"
    found = dict(_read(path))
    outcomes = {
        one.key: found[key]
        for one in arm.answers
        if (key := item_key(arm.name, one.prompt_id, one.sample)) in found
    }
    record = {"about": _about(arm, identity), "judged": len(outcomes)}
    if path.is_file():
        record["verdicts"] = file_record(path, folder)
    write_json(folder / f"{arm.name}.json", record)
    return outcomes
