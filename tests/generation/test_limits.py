"""Annotation and response have limits of their own: an annotation takes nothing from a response."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from tiny_models import Transitions, endless_transitions, save_bigram_model

from olmo_anchor.cli import cli
from olmo_anchor.tokenizer import AnchorTokenizer

Sample = Callable[..., list[dict[str, Any]]]

PREFILLS = pytest.mark.parametrize("prefill", ["", "yx"])


def transitions(tiny: AnchorTokenizer, **rows: dict[str, float]) -> Transitions:
    """:func:`endless_transitions` with other rows: ``dot={"x": 1.0}``, ``r={"close": .5, ...}``."""
    control = tiny.control
    names = {"open": control.open, "close": control.close, "end": control.end_of_text}
    names |= {"dot": tiny.encode(".")[0]}

    def token(name: str) -> int:
        return names[name] if name in names else tiny.encode(name)[0]

    changed = {
        token(last): {token(to): share for to, share in row.items()} for last, row in rows.items()
    }
    return {**endless_transitions(tiny), **changed}


@pytest.fixture
def sample(tiny: AnchorTokenizer, tmp_path: Path) -> Sample:
    """Make samples of a prompt with the command that a user types."""

    def made(
        *options: object, prompt: str = "The cat.", prefill: str = "", **rows: dict[str, float]
    ) -> list[dict[str, Any]]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        model = save_bigram_model(folder / "model", tiny, transitions(tiny, **rows))
        prompts, out = folder / "prompts.jsonl", folder / "out.jsonl"
        prompts.write_bytes(orjson.dumps({"prompt": prompt, "prefill": prefill}))
        call = ["generate", model, "--prompts", prompts, "--out", out, "--engine", "hf", *options]
        done = CliRunner().invoke(cli, [str(word) for word in call])
        assert done.exit_code == 0, done.exception
        return [orjson.loads(line) for line in out.read_bytes().splitlines()]

    return made


def counts(record: dict[str, Any]) -> tuple[int, int, str]:
    return record["annotation_tokens"], record["response_tokens"], record["finish_reason"]


@PREFILLS
def test_an_annotation_takes_nothing_from_the_response(sample: Sample, prefill: str) -> None:
    # <open> q : r <close> x y x y ...
    [annotated] = sample("--num-samples", 1, "--max-tokens", 30, prefill=prefill)
    [bare] = sample("--num-samples", 1, "--max-tokens", 30, prefill=prefill, dot={"x": 1.0})
    assert counts(annotated) == (5, 30, "length")
    assert counts(bare) == (0, 30, "length")
    assert len(annotated["response"]) == len(bare["response"]) == 30 + len(prefill)


@PREFILLS
def test_a_response_may_be_shorter_than_its_annotation(sample: Sample, prefill: str) -> None:
    for limit in (1, 2, 4, 5, 6):
        [record] = sample("--num-samples", 1, "--max-tokens", limit, prefill=prefill)
        assert counts(record) == (5, limit, "length")
        assert record["annotation"] == [["q", "r"]]


@PREFILLS
def test_an_annotation_over_its_budget_is_unclosed(sample: Sample, prefill: str) -> None:
    for limit in (2, 30):
        words = ("--num-samples", 1, "--max-tokens", limit)
        [whole] = sample(*words, "--max-annotation-tokens", 5, prefill=prefill)
        [over] = sample(*words, "--max-annotation-tokens", 4, prefill=prefill)
        assert counts(whole) == (5, limit, "length")
        assert counts(over) == (4, 0, "length")
        assert (over["unclosed"], over["response"], over["annotation_text"]) == (True, None, "q:r")


@PREFILLS
def test_an_annotation_without_an_end_stops_at_its_budget(sample: Sample, prefill: str) -> None:
    words = ("--num-samples", 1, "--max-annotation-tokens", 20, "--max-tokens", 6)
    [record] = sample(*words, prefill=prefill, r={"r": 1.0})
    assert counts(record) == (20, 0, "length")
    assert record["annotation_text"] == "q:" + 17 * "r"


def test_a_response_that_ends_by_itself_is_not_cut(sample: Sample) -> None:
    # The token that ends a response counts, as it does without an annotation.
    words = ("--num-samples", 1, "--max-tokens")
    for rows in ({}, {"dot": {"x": 1.0}}):
        [whole] = sample(*words, 3, y={"end": 1.0}, **rows)
        [cut] = sample(*words, 2, y={"end": 1.0}, **rows)
        assert (whole["response"], whole["finish_reason"]) == ("xy", "stop")
        assert (cut["response"], cut["finish_reason"]) == ("xy", "length")


@PREFILLS
def test_a_response_ends_by_itself_where_the_next_chunk_begins(
    sample: Sample, prefill: str
) -> None:
    for rows in ({}, {"dot": {"x": 1.0}}):
        words = ("--num-samples", 1, "--max-tokens", 20)
        [record] = sample(*words, prefill=prefill, y={"open": 1.0}, **rows)
        assert record["response"] == (f"{prefill}y" if prefill else "xy")
        assert record["finish_reason"] == "stop"


@PREFILLS
def test_the_context_of_the_model_holds_for_both(sample: Sample, prefill: str) -> None:
    [record] = sample("--num-samples", 1, "--max-tokens", 500, prefill=prefill)
    assert counts(record)[::2] == (5, "context")
    assert record["prompt_tokens"] + 5 + len(record["response"]) == 128
    [record] = sample("--num-samples", 1, "--max-annotation-tokens", 500, r={"r": 1.0})
    assert record["prompt_tokens"] + record["annotation_tokens"] == 128
    assert (record["unclosed"], record["finish_reason"]) == (True, "context")


@PREFILLS
def test_samples_do_not_depend_on_the_batch_where_they_go_on(sample: Sample, prefill: str) -> None:
    rows = {
        "dot": {"open": 0.6, "x": 0.4},
        "r": {"r": 0.5, "close": 0.5},
        "y": {"x": 0.5, "y": 0.45, "end": 0.05},
    }
    words = ("--num-samples", 60, "--max-tokens", 12, "--max-annotation-tokens", 8)
    files = [sample(*words, "--batch-size", size, prefill=prefill, **rows) for size in (1, 7, 100)]
    assert files[0] == files[1] == files[2]
    assert {record["finish_reason"] for record in files[0]} == {"stop", "length"}
    for record in files[0]:
        assert record["annotation_tokens"] <= 8
        assert record["response_tokens"] <= 12
    cut = [r for r in files[0] if r["finish_reason"] == "length" and not r["unclosed"]]
    assert {r["response_tokens"] for r in cut} == {12}
    assert len({r["annotation_tokens"] for r in cut}) > 3


def test_an_annotation_that_leaves_no_room_for_a_response_is_kept(sample: Sample) -> None:
    [record] = sample("--num-samples", 1, prompt=123 * ".", prefill="yx")
    assert record["prompt_tokens"] + 2 < 128 < record["prompt_tokens"] + 5 + 2
    assert (record["annotation"], record["unclosed"]) == ([["q", "r"]], False)
    assert (record["response"], record["response_tokens"]) == ("yx", 0)
    assert record["finish_reason"] == "context"


def test_without_annotations_the_response_alone_is_limited(sample: Sample) -> None:
    words = ("--num-samples", 1, "--annotation", "skip", "--max-tokens", 9)
    [record] = sample(*words, dot={"open": 0.9, "x": 0.1})
    assert counts(record) == (0, 9, "length")
