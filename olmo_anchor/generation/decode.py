"""Jobs through an engine: one sample each, in one or two passes or, with a prefill, in up to three.

Annotation and response have limits of their own, so that a model that annotates has as many tokens
for its response as one that does not (DESIGN rule 5). How long an annotation is, only the model
knows: the first pass has the limit of a response, and a sample that it cut goes on for as many
tokens as its annotation took. A model that does not annotate decodes none in vain.

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

_WINDOW = 8192
"""Samples that wait for one another between two passes."""


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
    """What a job gave.

    :param ids: what follows the prompt, prefill included, stop token excluded.
    :param finish_reason: ``"stop"``: the model ended it, or went on to the annotation of a next
        chunk; ``"length"``: a limit cut the annotation or the response; ``"context"``: the model
        takes no more tokens.
    """

    job: Job
    ids: list[int]
    finish_reason: Literal["stop", "length", "context"]


def sample_jobs(
    engine: Engine,
    jobs: Iterable[Job],
    sampling: Sampling,
    control: ControlIds,
    annotation: AnnotationMode,
    max_annotation_tokens: int,
) -> Iterator[Sampled]:
    """Make the samples and yield them as they finish, in any order.

    The jobs may be lazy; they are held in windows, as they take several passes.

    :param sampling: its ``max_tokens`` are those of a response, the token that ends it included, a
        prefill not.
    :param max_annotation_tokens: at least 2, as the delimiters count; a longer annotation is cut
        there, unclosed.
    """
    decoder = _Decoder(engine, sampling, control, max_annotation_tokens)
    if annotation == "skip":
        yield from decoder.without_annotations(jobs)
        return
    for has_prefill, run in groupby(jobs, key=lambda job: bool(job.prefill)):
        while window := list(islice(run, _WINDOW)):
            yield from decoder.prefilled(window) if has_prefill else decoder.free(window)


@dataclass(frozen=True)
class _Decoder:
    engine: Engine
    sampling: Sampling
    control: ControlIds
    budget: int

    def without_annotations(self, jobs: Iterable[Job]) -> Iterator[Sampled]:
        banned = (*self.sampling.banned_ids, self.control.open)
        for job, done in self._pass(
            jobs, replace(self.sampling, banned_ids=banned), lambda job: job.prefill
        ):
            yield self._limited(job, job.prefill + done.ids, done.finish_reason)

    def free(self, jobs: list[Job]) -> Iterator[Sampled]:
        cut: dict[tuple[int, int], list[int]] = {}
        for job, done in self._pass(jobs, self.sampling, lambda job: []):
            room = self.engine.max_length - len(job.ids) - len(done.ids)
            if done.finish_reason == "length" and room > 0 and self._lacking(done.ids):
                cut[job.key] = done.ids
            else:
                yield self._limited(job, done.ids, done.finish_reason)

        longer = [job for job in jobs if job.key in cut]
        for job, done in self._pass(
            longer,
            self.sampling,
            lambda job: cut[job.key],
            "rest",
            lambda job: self._lacking(cut[job.key]),
        ):
            yield self._limited(job, cut[job.key] + done.ids, done.finish_reason)

    def prefilled(self, jobs: list[Job]) -> Iterator[Sampled]:
        control, sampling = self.control, self.sampling
        first = replace(sampling, max_tokens=1, stop_ids=())
        annotates = {
            job.key
            for job, done in self._pass(jobs, first, lambda job: [], "opening")
            if done.ids == [control.open]
        }
        # What stands between the prompt and the rest of the response.
        heads = {job.key: job.prefill for job in jobs if job.key not in annotates}

        to_close = replace(
            sampling, max_tokens=self.budget - 1, stop_ids=(*sampling.stop_ids, control.close)
        )
        opened = [job for job in jobs if job.key in annotates]
        for job, done in self._pass(opened, to_close, lambda job: [control.open], "annotation"):
            head, reason = [control.open, *done.ids], done.finish_reason
            if done.ids[-1] == control.close:
                head, reason = head + job.prefill, "length"
                if len(job.ids) + len(head) < self.engine.max_length:
                    heads[job.key] = head
                    continue
            yield self._limited(job, head, reason)

        # Behind a prefill every opening delimiter is that of a next chunk.
        to_end = replace(sampling, stop_ids=(*sampling.stop_ids, control.open))
        begun = [job for job in jobs if job.key in heads]
        for job, done in self._pass(begun, to_end, lambda job: heads[job.key]):
            yield self._limited(job, heads[job.key] + done.ids, done.finish_reason)

    def _pass(
        self,
        jobs: Iterable[Job],
        sampling: Sampling,
        head: Callable[[Job], list[int]],
        stream: str = "",
        limit: Callable[[Job], int] | None = None,
    ) -> Iterator[tuple[Job, Completion]]:
        """Continue each job's prompt and ``head``; each ``stream`` has random numbers of its own.

        :param limit: ``max_tokens`` of a job, in the place of the sampling's.
        """
        flying: dict[int, Job] = {}

        def requests() -> Iterator[Request]:
            for number, job in enumerate(jobs):
                flying[number] = job
                seed = derive_seed(job.seed, stream) if stream else job.seed
                yield Request(job.ids + head(job), seed, limit and limit(job))

        for done in self.engine.sample(requests(), sampling):
            yield flying.pop(done.prompt), done

    def _annotation_end(self, ids: list[int]) -> int | None:
        """Tokens of the annotation, 0 without one; None where its budget does not see it closed."""
        if ids[0] != self.control.open:
            return 0
        if self.control.close not in ids[: self.budget]:
            return None
        end = ids.index(self.control.close) + 1
        return None if self.control.open in ids[1:end] else end

    def _lacking(self, ids: list[int]) -> int:
        """Tokens that a sample of ``max_tokens`` ids may still have."""
        if self.control.open in ids[1:]:
            # With a second annotation the response has ended, or the first will never close.
            return 0
        end = self._annotation_end(ids)
        if end is None:
            return self.budget if len(ids) < self.budget else 0
        return end

    def _limited(self, job: Job, ids: list[int], reason: str) -> Sampled:
        """Cut what was sampled to its limits, and before the annotation of a next chunk."""
        end = self._annotation_end(ids)
        limit = self.budget
        if end is not None:
            limit = end + len(job.prefill) + self.sampling.max_tokens
            if self.control.open in ids[end:limit]:
                return Sampled(job, ids[: ids.index(self.control.open, end)], "stop")
        if len(ids) > limit:
            return Sampled(job, ids[:limit], "length")
        if reason == "stop":
            return Sampled(job, ids[:-1], "stop")
        full = len(ids) < limit and len(job.ids) + len(ids) >= self.engine.max_length
        return Sampled(job, ids, "context" if full else "length")
