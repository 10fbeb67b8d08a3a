"""Jobs through an engine: one sample each, in one pass or, with a prefill, in up to three.

A model that annotates must write its annotation before a prefilled response begins. Whether it does
shows in its first token: an opening delimiter or not. So a prefilled sample is the first token,
then the annotation up to its closing delimiter, then the prefill and the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Literal

from olmo_anchor.engines import Completion, Engine, Request, Sampling, derive_seed
from olmo_anchor.spans import ControlIds

__all__ = ["ANNOTATION_MODES", "AnnotationMode", "Job", "Sampled", "sample_jobs"]

AnnotationMode = Literal["sample", "skip"]
ANNOTATION_MODES = ("sample", "skip")
"""``sample``: the model writes an annotation or not, as it will. ``skip``: the opening delimiter is
banned at every position."""

_WINDOW = 2048


@dataclass(frozen=True)
class Job:
    """One sample to make.

    :param prompt: index of the prompt.
    :param ids: of the prompt, prefill excluded.
    """

    prompt: int
    sample: int
    seed: int
    ids: list[int]
    prefill: list[int] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        return self.prompt, self.sample


@dataclass(frozen=True)
class Sampled:
    """:param ids: what follows the prompt, prefill included, stop token excluded."""

    job: Job
    ids: list[int]
    finish_reason: str


def sample_jobs(
    engine: Engine,
    jobs: Iterable[Job],
    sampling: Sampling,
    control: ControlIds,
    annotation: AnnotationMode,
) -> Iterator[Sampled]:
    """Make the samples and yield them as they finish, in any order.

    The jobs may be lazy; those with a prefill are held in windows, as they take several passes.
    ``max_tokens`` holds for each pass.
    """
    if annotation == "skip":
        banned = replace(sampling, banned_ids=(*sampling.banned_ids, control.open))
        for job, done in _pass(engine, jobs, banned, lambda job: job.prefill):
            yield Sampled(job, job.prefill + _without_stop(done), done.finish_reason)
        return
    for has_prefill, run in groupby(jobs, key=lambda job: bool(job.prefill)):
        if has_prefill:
            while window := list(islice(run, _WINDOW)):
                yield from _prefilled(engine, window, sampling, control)
        else:
            for job, done in _pass(engine, run, sampling, lambda job: []):
                yield Sampled(job, _without_stop(done), done.finish_reason)


def _prefilled(
    engine: Engine, jobs: list[Job], sampling: Sampling, control: ControlIds
) -> Iterator[Sampled]:
    first = replace(sampling, max_tokens=1, stop_ids=())
    annotates = {
        job.key
        for job, done in _pass(engine, jobs, first, lambda job: [], "opening")
        if done.ids == [control.open]
    }
    # What stands between the prompt and the rest of the response.
    heads = {job.key: job.prefill for job in jobs if job.key not in annotates}

    to_close = replace(sampling, stop_ids=(*sampling.stop_ids, control.close))
    opened = [job for job in jobs if job.key in annotates]
    for job, done in _pass(engine, opened, to_close, lambda job: [control.open], "annotation"):
        head = [control.open, *done.ids, *job.prefill]
        if done.ids[-1] == control.close and len(job.ids) + len(head) < engine.max_length:
            heads[job.key] = head
        else:
            yield Sampled(job, [control.open, *_without_stop(done)], done.finish_reason)

    begun = [job for job in jobs if job.key in heads]
    for job, done in _pass(engine, begun, sampling, lambda job: heads[job.key]):
        yield Sampled(job, heads[job.key] + _without_stop(done), done.finish_reason)


def _pass(
    engine: Engine,
    jobs: Iterable[Job],
    sampling: Sampling,
    head: Callable[[Job], list[int]],
    stream: str = "",
) -> Iterator[tuple[Job, Completion]]:
    """Continue each job's prompt and ``head``; each ``stream`` has random numbers of its own."""
    flying: dict[int, Job] = {}

    def requests() -> Iterator[Request]:
        for number, job in enumerate(jobs):
            flying[number] = job
            seed = derive_seed(job.seed, stream) if stream else job.seed
            yield Request(job.ids + head(job), seed)

    for done in engine.sample(requests(), sampling):
        yield flying.pop(done.prompt), done


def _without_stop(done: Completion) -> list[int]:
    return done.ids[:-1] if done.finish_reason == "stop" else done.ids
