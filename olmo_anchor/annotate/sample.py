"""A look before spending: some chunks annotated, nothing written, and what all would take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from olmo_anchor.annotate.base import Annotator, Chunk, Outcome, Refused
from olmo_anchor.annotate.job import AnnotateConfig, open_tokens
from olmo_anchor.annotate.stream import chunks_of_document
from olmo_anchor.annotation import Annotation
from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["Estimate", "Sampled", "annotate_sample", "estimate", "show"]

_SHOWN_CHARS = 400


@dataclass(frozen=True, slots=True)
class Sampled:
    """A chunk, drawn with a probability in proportion to its tokens, and what was said of it."""

    chunk: Chunk
    outcome: Outcome
    counts: Mapping[str, int]


def annotate_sample(config: AnnotateConfig, size: int, seed: int) -> tuple[list[Sampled], float]:
    """Annotate the chunks at ``size`` random tokens; and the seconds that it took.

    Loading the annotator is not counted. A token that belongs to no chunk (of a prompt) gives none.
    """
    config.annotator.check()
    tokens = open_tokens(config.tokens)
    tokenizer = tokens.tokenizer()
    rule = ChunkRule.of(tokens, tokenizer, config.min_chunk_tokens)
    annotator = config.annotator.build()
    drawn = [[chunk] for chunk in _draw(tokens, tokenizer, rule, size, seed, annotator)]
    for _ in annotator.stream(drawn[:1]):  # what loads at the first call
        pass
    began = time.monotonic()
    done = list(annotator.stream(drawn))
    seconds = time.monotonic() - began
    answers = []
    for one in done:
        outcome = one.outcomes[0]
        length = 0
        if isinstance(outcome, Annotation):
            length = len(tokenizer.encode_annotation(outcome))
        counts = {**one.counts, "annotation_tokens": length}
        answers.append(Sampled(one.chunks[0], outcome, counts))
    return answers, seconds


def _draw(
    tokens: TokensDir,
    tokenizer: AnchorTokenizer,
    rule: ChunkRule,
    size: int,
    seed: int,
    annotator: Annotator,
) -> Iterator[Chunk]:
    positions = np.sort(np.random.default_rng(seed).integers(tokens.tokens, size=size))
    offset = 0
    for part in tokens.parts:
        at = 0
        mine = positions[(positions >= offset) & (positions < offset + part.tokens)] - offset
        offset += part.tokens
        for doc, (start, end, name) in enumerate(part.rows()):
            inside = []
            while at < len(mine) and mine[at] < end:
                inside.append(int(mine[at]) - start)
                at += 1
            if not inside:
                continue
            ids, mask = part.read(start, end), part.read_mask(start, end)
            cuts = rule.cuts(ids, mask)
            place = (part.index, doc, name)
            found = list(chunks_of_document(tokenizer, place, ids, cuts, annotator.before_chars))
            for position in inside:
                hit = np.flatnonzero((cuts[:, 0] <= position) & (position < cuts[:, 1]))
                yield from (found[number] for number in hit.tolist())


def show(answers: list[Sampled]) -> str:
    """The sampled chunks, and what was said about each."""
    lines = []
    for sampled in answers:
        chunk, outcome = sampled.chunk, sampled.outcome
        text = " ".join(chunk.text.split())
        cut = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]} ..."
        lines.append(f"{chunk.id or chunk.doc}, chunk {chunk.chunk}: {cut}")
        if isinstance(outcome, Annotation):
            lines += [f"    {tag}" for tag in outcome.tags]
        elif isinstance(outcome, Refused):
            lines.append(f"    rejected: {outcome.reason}")
        else:
            lines.append("    no annotation")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a whole corpus would take, as a sample tells.

    :param per_chunk: seconds, at the rate of the sample.
    :param counts: sums over the corpus of what the annotator counts, such as ``prompt_tokens``.
    """

    tokens: int
    chunks: float
    rejected: float
    per_chunk: float
    counts: dict[str, float]

    @property
    def hours(self) -> float:
        return self.chunks * self.per_chunk / 3600

    def text(self, *, gpus: int | None = None, gpu_hour: float | None = None) -> str:
        """:param gpus: that gave the sample's rate.
        :param gpu_hour: the price of one.
        """
        lines = [
            f"corpus           {self.tokens:,} tokens, about {self.chunks:,.0f} chunks",
            f"rejected         about {self.rejected:.1%} of the chunks",
        ]
        for name, total in self.counts.items():
            label = name.replace("_", " ")
            lines.append(f"{label:16} about {total:,.0f} ({total / self.chunks:.0f} a chunk)")
        rate = 1 / self.per_chunk if self.per_chunk else float("inf")
        lines.append(f"time             about {self.hours:.2f} hours at {rate:.1f} chunks a second")
        if gpus is not None:
            lines.append(f"GPU-hours        about {self.hours * gpus:.2f} ({gpus} in use)")
        if gpu_hour is not None:
            lines.append(f"cost             about {self.hours * (gpus or 1) * gpu_hour:.2f}")
        return "\n".join(lines)


def estimate(tokens: Path, answers: list[Sampled], drawn: int, seconds: float) -> Estimate:
    """Sums over the corpus from chunks that were drawn at ``drawn`` random tokens.

    A chunk of n tokens is drawn with probability n / T at each draw, so that the sum of any f over
    all chunks is estimated without bias by T / drawn times the sum of f / n over the sample
    (Hansen-Hurwitz).
    """
    total = TokensDir.open(tokens).tokens
    weights = np.array([1 / sampled.chunk.tokens for sampled in answers])
    scale = total / drawn

    def over_corpus(values: list[float]) -> float:
        return float(scale * (weights * np.array(values)).sum())

    chunks = over_corpus([1.0] * len(answers))
    refused = [float(isinstance(one.outcome, Refused)) for one in answers]
    names = dict.fromkeys(name for one in answers for name in one.counts)
    counts = {
        name: over_corpus([float(one.counts.get(name, 0)) for one in answers]) for name in names
    }
    return Estimate(
        tokens=total,
        chunks=chunks,
        rejected=over_corpus(refused) / chunks if chunks else 0.0,
        per_chunk=seconds / max(1, len(answers)),
        counts=counts,
    )
