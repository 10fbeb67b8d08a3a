"""The text form of annotations."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.annotation import (
    MAX_VALUE_CHARS,
    PAPER_SCHEMA,
    Annotation,
    Dropped,
    Example,
    Meaning,
    Schema,
    Tag,
    parse,
)

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
VALUES = (
    st.text(min_size=1, max_size=60)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text and text.splitlines() == [text] and text == text.strip())
)
ANNOTATIONS = st.lists(st.builds(Tag, KEYS, VALUES), max_size=8).map(
    lambda tags: Annotation(tuple(tags))
)


@given(ANNOTATIONS)
def test_serialise_then_parse_is_the_identity(annotation: Annotation) -> None:
    parsed = parse(annotation.text())
    assert parsed.annotation == annotation
    assert parsed.dropped == ()


@given(st.text())
def test_parse_is_total_and_accounts_for_every_line(text: str) -> None:
    parsed = parse(text)
    lines = [line for line in text.split("\n") if line.strip()]
    assert len(parsed.annotation.tags) + len(parsed.dropped) == len(lines)
    assert parse(parsed.annotation.text()).annotation == parsed.annotation


def test_repeated_keys_keep_their_order() -> None:
    annotation = parse("entity:B\ntopic:x\nentity:A").annotation
    assert annotation.get("entity") == ("B", "A")
    assert annotation.text() == "entity:B\ntopic:x\nentity:A"


def test_what_is_dropped_is_said_with_its_reason() -> None:
    parsed = parse(" topic: pirates \nno colon here\nTopic:x\nplace:\ntime:a:b\n")
    assert parsed.annotation == Annotation.of(("topic", "pirates"), ("time", "a:b"))
    assert parsed.dropped == (
        Dropped("no colon here", "there is no ':' in the line"),
        Dropped("Topic:x", "the key 'Topic' is not of the form [a-z][a-z0-9_]*"),
        Dropped("place:", "the value is empty"),
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "x"),
        ("1a", "x"),
        ("a-b", "x"),
        ("topic", ""),
        ("topic", " x"),
        ("topic", "x\ny"),
        ("topic", "x\ry"),
        ("topic", "x\u2028y"),
        ("topic", "\ud800"),
        ("topic", "x" * (MAX_VALUE_CHARS + 1)),
    ],
)
def test_a_tag_refuses(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"value|key"):
        Tag(key, value)


def test_a_schema_refuses_and_parse_drops_what_it_refuses() -> None:
    schema = Schema(keys=("topic",), max_tags=1, max_value_chars=4)
    assert schema.refuse(Annotation.of(("topic", "sea"))) is None
    assert "place" in str(schema.refuse(Annotation.of(("place", "sea"))))
    assert "5 characters" in str(schema.refuse(Annotation.of(("topic", "ocean"))))
    assert "2 tags" in str(schema.refuse(Annotation.of(("topic", "a"), ("topic", "b"))))
    parsed = parse("place:a\ntopic:sea\ntopic:b", schema)
    assert parsed.annotation == Annotation.of(("topic", "sea"))
    assert [dropped.line for dropped in parsed.dropped] == ["place:a", "topic:b"]


def test_the_default_schema_has_the_papers_keys() -> None:
    assert sorted(PAPER_SCHEMA.keys) == [
        "action",
        "domain",
        "entity",
        "language",
        "location",
        "sentiment",
        "setting",
        "style",
        "time",
        "topic",
    ]


SCHEMAS = st.builds(
    Schema,
    st.lists(KEYS, min_size=1, max_size=4, unique=True).map(tuple),
    max_tags=st.integers(1, 5),
    max_value_chars=st.integers(1, 12),
)


@given(st.data(), SCHEMAS)
def test_what_a_schema_allows_matches_its_regex(data: st.DataObject, schema: Schema) -> None:
    printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)
    values = (
        printable.map(lambda text: " ".join(text.split())[: schema.max_value_chars].strip())
        # White space of any kind may stand inside, but not as a separator of lines.
        .filter(lambda text: text.splitlines() == [text])
    )
    tags = st.builds(Tag, st.sampled_from(schema.keys), values)
    drawn = data.draw(st.lists(tags, min_size=1, max_size=schema.max_tags))
    assert re.fullmatch(schema.regex(), Annotation(tuple(drawn)).text())


@given(st.data(), SCHEMAS)
def test_what_matches_the_regex_of_a_schema_is_allowed(data: st.DataObject, schema: Schema) -> None:
    text = data.draw(st.from_regex(schema.regex(), fullmatch=True))
    parsed = parse(text, schema)
    assert parsed.dropped == ()
    assert len(parsed.annotation.tags) == text.count("\n") + 1
    assert schema.refuse(parsed.annotation) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "topic:",
        "topic: sea",
        "place:sea",
        "topic:sea\n",
        "topic:sea\n\ntopic:sea",
        "topic:a\ntopic:b\ntopic:c",
        "topic:oceans",
        "topic:a\tb",
    ],
)
def test_a_regex_refuses_what_its_schema_does_not_mean(text: str) -> None:
    schema = Schema(keys=("topic", "time"), max_tags=2, max_value_chars=5)
    assert re.fullmatch(schema.regex(), "topic:ocean\ntime:now")
    assert not re.fullmatch(schema.regex(), text)


def test_a_line_separator_in_a_value_becomes_a_space() -> None:
    assert parse("topic:a\u2028b\x85").annotation == Annotation.of(("topic", "a b"))


def test_the_examples_of_a_schema_must_be_allowed_by_it() -> None:
    with pytest.raises(ValueError, match=r"example of 'topic': .* 5 characters"):
        Schema(keys=("topic",), max_value_chars=4, meanings={"topic": Meaning("", ("ocean",))})
    with pytest.raises(ValueError, match="example 1: the key 'place'"):
        Schema(keys=("topic",), examples=(Example("x", Annotation.of(("place", "sea"))),))
