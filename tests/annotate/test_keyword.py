"""Tags of real sentences: topics, names, language, sentiment."""

from __future__ import annotations

import sys

import pytest

from olmo_anchor.annotate.base import Chunk
from olmo_anchor.annotate.keyword import KEYWORD_SCHEMA, KeywordAnnotator
from olmo_anchor.annotate.names import find_names
from olmo_anchor.annotation import PAPER_SCHEMA, Annotation, Schema
from olmo_anchor.errors import InputError

pytest.importorskip("yake", reason="the extra `annotate` is not installed")


class TestNames:
    def test_a_word_that_only_starts_a_sentence_is_no_name(self) -> None:
        text = "Suddenly the door opened. Horses ran out, and Anne Bonny laughed."
        assert find_names(text, text) == ["Anne Bonny"]

    def test_a_name_at_the_start_of_a_sentence_is_known_from_elsewhere(self) -> None:
        context = "They had all heard of Groholsky before."
        assert find_names("Groholsky sat down.", context) == ["Groholsky"]
        assert find_names("Groholsky sat down.", "") == []

    def test_titles_possessives_and_joining_words(self) -> None:
        text = "He thanked Mr. Morris for Jonathan\u2019s knife, and the King of Spain for nothing."
        assert find_names(text, text, most=9) == ["Mr. Morris", "Jonathan", "King of Spain"]

    def test_a_part_of_a_longer_name_counts_with_it(self) -> None:
        text = "So Anna met Pierre Bezukhov, and then Pierre left; poor Pierre."
        assert find_names(text, text) == ["Pierre Bezukhov", "Anna"]

    def test_the_words_of_a_heading_are_no_names(self) -> None:
        assert find_names("A Living Chattel", "A Living Chattel\n\nOne day he left.") == []
        assert find_names("XXXIV", "") == []

    def test_no_text(self) -> None:
        assert find_names("", "") == []
        assert find_names("1 + 1 = 2", "") == []


def tags(text: str, context: str | None = None, schema: Schema = KEYWORD_SCHEMA) -> Annotation:
    chunk = Chunk(0, 0, "a", 0, text, text if context is None else context)
    (outcome,) = KeywordAnnotator(schema).annotate([chunk])
    assert isinstance(outcome, Annotation)
    assert schema.refuse(outcome) is None
    return outcome


def test_prose() -> None:
    found = tags(
        "Alehin lived in the lower storey, with arched ceilings and little windows, where the "
        "bailiffs had once lived; there was a horrible smell of cheap vodka, and old Alehin wept."
    )
    assert found.get("entity") == ("Alehin",)
    assert "cheap vodka" in found.get("topic")
    assert not any("alehin" in topic for topic in found.get("topic"))
    assert found.get("language") == ("English",)
    assert found.get("sentiment") == ("negative",)


def test_a_short_chunk_has_the_language_of_its_document() -> None:
    german = "Es war einmal ein alter König, der hatte eine Tochter und wohnte in einem Schloss. "
    assert tags("Arm in Arm.", german).get("language") == ("German",)
    assert tags("Arm in Arm.", german).get("sentiment") == ()


def test_a_chunk_without_a_letter_still_has_an_annotation() -> None:
    assert tags("12").pairs() == [["sentiment", "neutral"]]
    assert tags("***", "The cat sat on the mat with the dog.").get("language") == ("English",)


def test_only_the_keys_of_the_schema_are_written() -> None:
    found = tags("Anne Bonny met the captain, and Anne Bonny laughed.", schema=PAPER_SCHEMA)
    assert {tag.key for tag in found.tags} == {"topic", "entity", "language", "sentiment"}
    topics = tags("The whale dived.", schema=Schema(keys=("topic",), max_tags=1))
    assert [tag.key for tag in topics.tags] == ["topic"]
    with pytest.raises(InputError, match="none of the keys"):
        KeywordAnnotator(Schema(keys=("mood",)))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yake", None)
    with pytest.raises(InputError, match=r"needs yake: pip install 'olmo-anchor\[annotate\]'"):
        KeywordAnnotator()


@pytest.mark.parametrize(
    "text",
    ["\u2028x", "a" * 300 + " b", "\x00", "\ufffd", "\u2018\u2019\u201c\u201d\u2014", " \n "],
)
def test_any_text_gives_a_valid_annotation(text: str) -> None:
    tags(text)
