"""SFT data restricted to some values, and annotations made from labels: by the commands."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError
from olmo_anchor.study.world.truth import LabelNoise, truth_records

COLOURS = {"colour": ["red", "green", "blue"], "shape": ["round"]}


def run(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    if isinstance(done.exception, InputError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "world"
    run("study", "world", "--out", out, "--seed", 3, "--documents", 60)
    return out


def talks(world: Path, out: Path, *only: str) -> list[tuple[dict[str, Any], str]]:
    """(labels, request) of each conversation."""
    options = [word for one in only for word in ("--only", one)]
    run(
        "study", "conversations", world, "--out", out, "--seed", 3, "--conversations", 400, *options
    )
    labels = [record["labels"] for record in lines(out / "labels.jsonl")]
    asked = [record["messages"][0]["content"] for record in lines(out / "conversations.jsonl")]
    return list(zip(labels, asked, strict=True))


def test_the_defaults_are_the_data_of_the_demo(world: Path, tmp_path: Path) -> None:
    run("study", "conversations", world, "--out", tmp_path / "demo", "--seed", 3)
    made = tmp_path / "demo" / "conversations.jsonl"
    assert made.read_bytes() == (world / "conversations.jsonl").read_bytes()
    assert len(lines(made)) == 1600


@pytest.mark.parametrize(
    ("attribute", "chosen", "values"),
    [
        ("topic", "14", 14),
        ("topic", "48", 48),
        ("topic", "all", 48),
        ("persona", "23", 23),
        ("topic", "pirates, gardens", 2),
    ],
)
def test_one_attribute_differs_and_all_else_is_the_same(
    world: Path, tmp_path: Path, attribute: str, chosen: str, values: int
) -> None:
    demo = talks(world, tmp_path / "demo")
    other = talks(world, tmp_path / "other", f"{attribute}={chosen}")
    counts = Counter(labels[attribute] for labels, _ in other)
    assert len(counts) == values
    assert max(counts.values()) < 400 / values + 5 * math.sqrt(400 / values)
    for (old, asked), (new, asked_too) in zip(demo, other, strict=True):
        assert {**old, attribute: None} == {**new, attribute: None}
        assert asked_too == asked.replace(old[attribute], new[attribute])
    manifest = orjson.loads((tmp_path / "other" / "manifest.json").read_bytes())
    bits = {"topic": math.log2(5), "name": math.log2(30), "place": math.log2(20), "persona": 0.0}
    assert manifest["extra"]["entropy_bits"] == {**bits, attribute: math.log2(values)}


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("topic=7", "no topic is '7'; its subsets are 5, 14, 48"),
        ("mood=happy", "the attributes are persona, topic, name, place"),
        ("topic", "write ATTRIBUTE=SUBSET"),
        ("name=Bo,Bo", "twice"),
    ],
)
def test_a_choice_that_is_none(world: Path, tmp_path: Path, only: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        talks(world, tmp_path / "none", only)


def test_the_true_annotation_of_the_world(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "truth.jsonl"
    run("study", "truth", world / "labels.jsonl", "--world", world, "--out", out)
    assert out.read_bytes() == (world / "truth.jsonl").read_bytes()
    run(
        *("study", "truth", world / "labels.jsonl", "--world", world, "--out", out),
        *("--attributes", "persona,topic"),
    )
    for record, known in zip(lines(out), lines(world / "labels.jsonl"), strict=True):
        labels = known["labels"]
        assert record["tags"] == [["persona", labels["persona"]], ["topic", labels["topic"]]]


def test_what_has_no_annotation_is_annotated_without(world: Path, tmp_path: Path) -> None:
    labels, tokens = world / "labels.jsonl", tmp_path / "tokens"
    run(
        *("study", "truth", labels, "--world", world, "--out", tmp_path / "most.jsonl"),
        *("--without", 0.25, "--attributes", "topic,name,place,persona"),
    )
    run(
        "tokenize",
        world / "documents.jsonl",
        "--tokenizer",
        world / "tokenizer.json",
        "--out",
        tokens,
    )
    run(
        *("annotate", tokens, "--annotator", "oracle", "--annotations", tmp_path / "most.jsonl"),
        *("--schema", world / "schema.json", "--out", tmp_path / "notes"),
    )
    run("overlay", tokens, tmp_path / "notes", "--out", tmp_path / "overlay")
    counts = orjson.loads((tmp_path / "overlay" / "manifest.json").read_bytes())["counts"]
    assert counts["annotations"] == len(lines(tmp_path / "most.jsonl"))
    assert 0.6 * len(lines(labels)) < counts["annotations"] < 0.9 * len(lines(labels))


def records(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"doc-{i}", "chunk": i % 2, "labels": {"colour": "red", "shape": "round"}}
        for i in range(count)
    ]


@given(st.integers(0, 9), st.floats(0, 1), st.floats(0, 1))
def test_the_faults_of_a_smaller_share_are_among_those_of_a_larger(
    seed: int, one: float, two: float
) -> None:
    less, more = sorted((one, two))

    def wrong(share: float) -> dict[str, str]:
        found = truth_records(records(40), ["colour"], COLOURS, LabelNoise(seed, wrong=share))
        return {r["id"]: r["tags"][0][1] for r in found if r["tags"] != [["colour", "red"]]}

    def without(share: float) -> set[str]:
        found = truth_records(records(40), ["colour"], COLOURS, LabelNoise(seed, without=share))
        return {f"doc-{i}" for i in range(40)} - {record["id"] for record in found}

    assert wrong(less).items() <= wrong(more).items()
    assert without(less) <= without(more)
    assert not wrong(0.0)
    assert len(wrong(1.0)) == len(without(1.0)) == 40


def test_shares_are_kept_and_other_values_are_equally_likely() -> None:
    found = truth_records(records(4000), ["shape", "colour"], COLOURS, LabelNoise(1, 0.3, 0.25))
    tags = [dict(record["tags"]) for record in found]
    assert len(tags) == pytest.approx(3000, abs=100)
    colours = Counter(tag["colour"] for tag in tags)
    assert colours["red"] == pytest.approx(0.7 * len(tags), abs=100)
    assert colours["green"] == pytest.approx(0.15 * len(tags), abs=80)
    # There is no other shape.
    assert {tag["shape"] for tag in tags} == {"round"}


def test_an_attribute_without_a_label_has_no_tag() -> None:
    unknown = [{"id": "a", "chunk": 0, "labels": {"colour": None, "shape": "round"}}]
    assert [*truth_records(unknown, ["colour", "shape"], COLOURS, LabelNoise())] == [
        {"id": "a", "chunk": 0, "tags": [["shape", "round"]]}
    ]
    assert [*truth_records(unknown, ["colour"], COLOURS, LabelNoise())] == []


def test_labels_that_are_none(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.jsonl"
    with pytest.raises(InputError, match=r"documents\.jsonl: line 1: not a record of id"):
        run("study", "truth", world / "documents.jsonl", "--world", world, "--out", out)
    with pytest.raises(InputError, match="no attribute 'mood'; it has persona, topic"):
        run(
            *("study", "truth", world / "labels.jsonl", "--world", world, "--out", out),
            *("--attributes", "topic,mood"),
        )
    assert not out.exists()


def test_prompts_that_name_a_hero(world: Path) -> None:
    asked = [r for r in lines(world / "prompts_chat.jsonl") if r["kind"] == "name"]
    assert Counter(Counter(r["name"] for r in asked).values()) == {4: 30}
    assert asked[0]["messages"] == [{"role": "user", "content": "Tell me a story with Ada."}]
    raw = [r for r in lines(world / "prompts_base.jsonl") if r["kind"] == "name"]
    assert raw[0]["prompt"] == "Tell me a story with Ada.\n\n"


def test_wrong_tags_can_be_of_the_values_that_the_data_has(world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    run(
        *("study", "conversations", world, "--out", folder, "--conversations", 60),
        *("--only", "topic=pirates,gardens"),
    )
    said = {}
    for among in ("world", "labels"):
        out = tmp_path / f"{among}.jsonl"
        run(
            *("study", "truth", folder / "labels.jsonl", "--world", world, "--out", out),
            *("--attributes", "topic", "--wrong", 0.9, "--among", among),
        )
        said[among] = {record["tags"][0][1] for record in lines(out)}
    assert said["labels"] == {"pirates", "gardens"}
    assert len(said["world"]) > 10
