"""Before spending: a sample, and what it says of the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.annotate.base import Chunk, Refused
from olmo_anchor.annotate.job import AnnotateConfig, open_tokens
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.annotate.sample import Sampled, annotate_sample, estimate
from olmo_anchor.annotation import Annotation

TEXTS = ["The cat.", "The dog ran to the mat.\n\nThe cat sat.", "mat " * 200]


def test_sums_over_the_corpus_are_told_from_chunks_drawn_by_their_tokens(tokenize: Any) -> None:
    tokens = tokenize(TEXTS)
    total = open_tokens(tokens).tokens
    annotation = Annotation.of(("topic", "cat"))
    drawn = [
        Sampled(Chunk(0, 0, None, 0, "", "", length), outcome, {"prompt_tokens": prompt})
        for length, outcome, prompt in (
            (10, annotation, 5),
            (20, annotation, 10),
            (20, Refused("no"), 10),
            (50, None, 25),
        )
    ]
    # 4 of 5 random tokens were in a chunk. Weights: 1/10 + 1/20 + 1/20 + 1/50 = 0.22.
    told = estimate(tokens, drawn, 5, seconds=2.0)
    assert told.chunks == pytest.approx(total / 5 * 0.22)
    assert told.rejected == pytest.approx(0.05 / 0.22)
    assert told.counts["prompt_tokens"] == pytest.approx(total / 5 * 2.0)
    assert told.per_chunk == 0.5
    assert told.hours == pytest.approx(told.chunks * 0.5 / 3600)
    assert "GPU" not in told.text()
    assert f"cost             about {told.hours * 8 * 2.5:.2f}" in told.text(gpus=8, gpu_hour=2.5)


def test_many_draws_come_close_to_the_truth(tokenize: Any, write_lines: Any) -> None:
    texts = [
        f"{'The cat sat. ' * (k % 7)}The end.\n\nThe dog {'ran ' * (k % 3)}." for k in range(90)
    ]
    notes = [
        {"id": f"doc-{k}", "chunk": c, "tags": [["topic", "x"]]} for k in range(90) for c in (0, 1)
    ]
    path = write_lines("mine.jsonl", notes)
    annotator = AnnotatorConfig(name="file", annotations=path)
    config = AnnotateConfig(tokens=tokenize(texts), annotator=annotator, out=Path())
    answers, seconds = annotate_sample(config, 3000, seed=1)
    told = estimate(config.tokens, answers, 3000, seconds)
    assert told.chunks == pytest.approx(180, rel=0.1)
    assert told.rejected == 0
    each = told.counts["annotation_tokens"] / told.chunks
    assert each == pytest.approx(answers[0].counts["annotation_tokens"])


def test_looking_writes_nothing(tokenize: Any, write_lines: Any, tmp_path: Path) -> None:
    tokens = tokenize(TEXTS)
    path = write_lines("mine.jsonl", [{"id": "doc-2", "chunk": 0, "tags": [["topic", "mats"]]}])
    before = sorted(tmp_path.rglob("*"))
    line = [sys.executable, "-m", "olmo_anchor.cli", "annotate", tokens, "--annotator", "file"]
    line += ["--annotations", path, "--sample", "20", "--show", "--estimate", "--gpu-hour", "2"]
    said = subprocess.run([*map(str, line)], capture_output=True, text=True, check=True).stdout
    assert "doc-2, chunk 0: mat mat" in said
    assert "\n    topic:mats\n" in said
    assert "nothing was written" in said
    assert "tokens, about" in said
    assert "cost" in said
    assert sorted(tmp_path.rglob("*")) == before
    bare = subprocess.run([*map(str, line[:9])], capture_output=True, text=True, check=False)
    assert (bare.returncode, "--out DIR says where" in bare.stderr) == (2, True)
