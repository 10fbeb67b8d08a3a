"""A world is a YAML file: what is wrong with one is said by name, and all else follows from it."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.judges.callables import load_callable
from olmo_anchor.evaluation.judges.spec import JudgeSpec, open_judge
from olmo_anchor.study.judge import of_world
from olmo_anchor.study.world.classifier import Classifier
from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.frames import Frame
from olmo_anchor.study.world.read import built_in, read_world
from olmo_anchor.study.world.stories import Labels, StoryWorld, stream, write_story
from olmo_anchor.study.world.tokenizer import UNKNOWN, build_tokenizer

TINY = """
name: weather
about: sky
annotated: [sky]
attributes:
  sky:
    values: {blue sky: [sunny, bright], grey sky: [rainy, wet]}
    subsets: {dry: [blue sky]}
  mood:
    values: {glad: ["What a day!"], sad: ["Oh no."], odd: ["Well, well."]}
  pet: {values: [cat, dog]}
story:
  a first sentence: ["It was {sky} outside.", "One {sky} morning began."]
  a cry: ["{mood.1}"]
  a second sentence: ["A {pet} came by.", "Then the {pet} slept, and it stayed {sky}."]
style: {opening: "Dear all,", closing: ["Good night!", "Farewell: the end."]}
requests:
  openings: [Say something, Speak]
  naming:
    sky: {as: "of a {sky}", pretraining: 0.5, sft: 0.2}
corpus: {documents: 40, requests: 0.5, two_stories: 0.25, styled: 0.1}
sft: {sky: dry}
"""


def tiny() -> dict[str, Any]:
    stored: dict[str, Any] = yaml.safe_load(TINY)
    return stored


def read(stored: Any, folder: Path) -> WorldFile:
    path = folder / "world.yaml"
    path.write_text(stored if isinstance(stored, str) else yaml.safe_dump(stored, sort_keys=False))
    return read_world(path)


def test_a_small_world(tmp_path: Path) -> None:
    world = read(TINY, tmp_path)
    labels = Labels({"sky": "grey sky", "mood": "sad", "pet": "dog"}, styled=True)
    told = {write_story(world, labels, stream(k, "x")).text for k in range(300)}
    assert "Dear all, It was wet outside. Oh no. A dog came by. Good night!" in told
    assert (
        "Dear all, One rainy morning began. Oh no. Then the dog slept, and it stayed wet. "
        "Farewell: the end."
    ) in told
    # 2 frames of each sentence, a phrase for each in 2 orders, 2 ends; where the last sentence
    # shows no sky, its phrase does not show.
    assert len(told) == 2 * 2 * 2 * 2


CHANGES: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda w: w.pop("story"), "world.yaml: has no 'story'"),
    (lambda w: w.update(extra=1), "unknown field 'extra'; known are name, about"),
    (lambda w: w.update(about="smell"), "about: 'smell' is no attribute; there are sky, mood, pet"),
    (lambda w: w.update(annotated=["sky", "sky"]), "annotated: 'sky' stands there twice"),
    (lambda w: w.update(sft={"pet": ["cow"]}), "sft: pet: 'cow' is not one of the values"),
    (lambda w: w.update(sft={"pet": 3}), "sft: pet: 3 of 2 values"),
    (lambda w: w["attributes"]["pet"]["values"].append("cat"), "pet: 'cat' stands there twice"),
    (
        lambda w: w["attributes"]["sky"]["values"]["grey sky"].append("bright"),
        "attributes: sky: grey sky: its word 'bright' stands in 'bright' of attributes: sky: blue",
    ),
    (
        lambda w: w["attributes"]["sky"]["values"]["grey sky"].append("wet morning"),
        "grey sky: the phrases 'wet' and 'wet morning' contain one another",
    ),
    (
        lambda w: w["attributes"]["sky"]["values"].update({"red sky": ["morning light", "dusk"]}),
        "red sky: its word 'morning' stands in ' morning began.' of story: a first sentence",
    ),
    (
        lambda w: w["attributes"]["pet"]["values"].append("Farewell"),
        "pet: Farewell: its word 'Farewell' stands in 'Farewell: the end.' of style: closing",
    ),
    (
        lambda w: w["attributes"]["pet"]["values"].append("day"),
        "its word 'day' stands in 'What a day!' of attributes: mood: glad",
    ),
    (
        lambda w: w["attributes"]["mood"]["values"].update(calm=["Well, well. Hm."]),
        "calm: 'Well, well. Hm.' and 'Well, well.' of attributes: mood: odd contain one another",
    ),
    (
        lambda w: w["attributes"]["mood"]["values"].update(late=["Good night!"]),
        "late: 'Good night!' stands in 'Good night!' of style: closing",
    ),
    (
        lambda w: w["attributes"]["sky"]["values"].update({"a, b": ["x", "y"]}),
        "the value 'a, b' is not words with one space between; no commas, no colons",
    ),
    (lambda w: w["attributes"]["pet"]["values"].append("big:cow"), "the value 'big:cow'"),
    (
        lambda w: w["attributes"]["pet"]["values"].append("two\nlines"),
        "the value 'two\\nlines' is not words",
    ),
    (lambda w: w["attributes"]["pet"]["values"].append(7), "pet: 7 is not text; put it in"),
    (lambda w: w["attributes"]["pet"]["values"].append("x" * 201), "201 characters"),
    (lambda w: w["attributes"].update(kind={"values": ["x"]}), "attributes: kind: another name"),
    (lambda w: w["attributes"].update({"Big": {"values": ["x"]}}), "the key 'Big' is not of"),
    (
        lambda w: w["attributes"].update(smell={"values": ["foul"]}),
        "attributes: smell: no sentence of the story always shows it: {smell} in each",
    ),
    (
        lambda w: w["story"]["a cry"].append("Hush, said the {cow}."),
        r"story: a cry: 'Hush, said the {cow}.': {cow} is no attribute; there are sky, mood, pet",
    ),
    (lambda w: w["story"].update(more=["{mood.2}"]), "mood 'glad' has no phrase 2"),
    (lambda w: w["story"].update(more=["So {mood}."]), "slots both with and without a number"),
    (lambda w: w["story"].update(more=["Many {pet}s."]), "a slot is glued to a word"),
    (lambda w: w["story"].update(more=["So {pet."]), "story: more: 'So {pet.': "),
    (lambda w: w["story"].update(more=["So {pet!r}."]), "is not {attribute} or {attribute.1}"),
    (
        lambda w: w["story"].update(more=["So; it {pet}."]),
        "not words with one space between, each",
    ),
    (lambda w: w["story"].update(more=[]), "story: more: not a list"),
    (
        lambda w: w["story"].update(x=["All was {sky}."]),
        "attributes: sky: blue sky: 2 phrases where 3 sentences show another one each",
    ),
    (lambda w: w["requests"]["naming"]["sky"].update({"as": "of"}), "has not one slot, {sky}"),
    (
        lambda w: w["requests"]["naming"]["sky"].update(sft=1.2),
        "1.2 is not a share between 0 and 1",
    ),
    (
        lambda w: w["corpus"].update(documents=0),
        "corpus: documents: 0 is not a whole number from 1",
    ),
    (lambda w: w["style"].update(opening=""), "style: opening: ''"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[message for _, message in CHANGES])
def test_what_is_wrong_is_named(
    change: Callable[[dict[str, Any]], Any], message: str, tmp_path: Path
) -> None:
    stored = tiny()
    change(stored)
    with pytest.raises(InputError) as caught:
        read(stored, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'world.yaml'}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TINY.replace("mood:\n", "sky:\n"), "line 9: 'sky' stands there twice"),
        (TINY.replace("sad:", "no:"), "the key False is not text; put it in quotes"),
        (TINY.replace("[cat, dog]", "[cat, dog"), "not a YAML file"),
        ("just words", "not a mapping of fields"),
        ("", "not a mapping of fields"),
    ],
)
def test_what_is_no_such_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(text, tmp_path)
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_world(tmp_path / "none.yaml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.data())
def test_anything_in_a_field_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    stored = tiny()
    at: Any = stored
    for _ in range(data.draw(st.integers(1, 4))):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key]:
            break
        parent, at = at, at[key]
    else:
        at = parent
    at[key] = data.draw(JSON)
    path = tmp_path_factory.mktemp("any") / "world.json"
    path.write_text(json.dumps(stored))
    try:
        world = read_world(path)
    except InputError:
        return
    for story in (story for d in StoryWorld(world).documents(5) for story in d.stories):
        assert Classifier(world)(story.text).labels == story.labels.values


def more_weather(stored: dict[str, Any]) -> dict[str, Any]:
    """The built-in world with one more attribute, as a user would add it."""
    stored = copy.deepcopy(stored)
    stored["name"] = "weather_world"
    stored["attributes"]["weather"] = {
        "values": {"a storm": ["thunder"], "frost": ["ice-cold wind"], "a heat wave": ["drought"]},
        "subsets": {"cold": ["a storm", "frost"]},
    }
    stored["story"]["a third opening"] = [
        "There had been a {weather} for days.",
        "O what a {weather}!",
    ]
    stored["annotated"].append("weather")
    stored["requests"]["naming"]["weather"] = {"as": "in {weather}", "pretraining": 0.3, "sft": 0}
    stored["sft"]["weather"] = "cold"
    return stored


def run(*words: object) -> None:
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_an_attribute_is_added_in_the_file_alone(tmp_path: Path) -> None:
    file, out = tmp_path / "weather.yaml", tmp_path / "world"
    file.write_text(yaml.safe_dump(more_weather(dict(built_in().stored)), sort_keys=False))
    run("study", "world", "--world", file, "--out", out, "--documents", 80)
    judge = of_world(str(out / "world.json"))
    texts = {
        record["id"]: record["text"].split("\n\n") for record in lines(out / "documents.jsonl")
    }
    for record in lines(out / "labels.jsonl"):
        verdict = judge(texts[record["id"]][record["chunk"]])
        assert verdict.valid, verdict.reasons
        assert {**verdict.labels, "styled": verdict.styled} == record["labels"]
    assert all(
        [key for key, _ in r["tags"]] == ["topic", "name", "weather"]
        for r in lines(out / "truth.jsonl")
    )
    unknown = build_tokenizer(read_world(file)).token_to_id(UNKNOWN)
    for chunks in texts.values():
        assert unknown not in build_tokenizer(read_world(file)).encode(" ".join(chunks)).ids
        break
    asked = [r for r in lines(out / "prompts_chat.jsonl") if r["kind"] == "weather"]
    assert asked[0]["messages"][0]["content"] == "Tell me a story in a storm."
    assert Counter(record["weather"] for record in asked) == {
        "a storm": 4,
        "frost": 4,
        "a heat wave": 4,
    }

    run("study", "conversations", out, "--out", tmp_path / "sft", "--only", "topic=48")
    told = Counter(
        record["labels"]["weather"] for record in lines(tmp_path / "sft" / "labels.jsonl")
    )
    assert set(told) == {"a storm", "frost"}

    run(
        "tokenize",
        out / "documents.jsonl",
        "--tokenizer",
        out / "tokenizer.json",
        "--out",
        tmp_path / "t",
    )
    run(
        *(
            "annotate",
            tmp_path / "t",
            "--annotator",
            "oracle",
            "--annotations",
            out / "truth.jsonl",
        ),
        *("--schema", out / "schema.json", "--out", tmp_path / "a"),
    )
    run("overlay", tmp_path / "t", tmp_path / "a", "--out", tmp_path / "o")
    counts = orjson.loads((tmp_path / "o" / "manifest.json").read_bytes())["counts"]
    assert counts["annotations"] == len(lines(out / "labels.jsonl"))


def test_a_suite_names_the_file_of_its_world(tmp_path: Path) -> None:
    path = tmp_path / "weather (mine).yaml"
    path.write_text(TINY)
    spec = JudgeSpec(use=f"olmo_anchor.study.judge:of_world({path})")
    judge = open_judge(spec)
    assert (judge.name, judge.values["mood"]) == ("weather", ("glad", "sad", "odd"))
    before = judge.identity()
    path.write_text(TINY.replace("Speak", "Talk"))
    assert open_judge(spec).identity() != before
    with pytest.raises(InputError, match=r"nothing\.yaml: cannot be read"):
        load_callable(f"olmo_anchor.study.judge:of_world({tmp_path / 'nothing.yaml'})")


@given(st.text())
def test_a_frame_says_what_it_was_read_from(text: str) -> None:
    try:
        frame = Frame.read(text)
    except ValueError:
        return
    filled = frame.fill(lambda slot: f"{{{slot.attribute}}}")
    if all(slot.number is None for slot in frame.slots):
        assert filled == text.replace("{{", "{").replace("}}", "}")
