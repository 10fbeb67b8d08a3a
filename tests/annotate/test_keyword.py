"""Tags of real sentences: topics, names, actions, places, times, language, sentiment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmo_anchor.annotate.base import Chunk
from olmo_anchor.annotate.keyword import KEYWORD_SCHEMA, KeywordAnnotator
from olmo_anchor.annotate.language import language_of
from olmo_anchor.annotate.names import find_names
from olmo_anchor.annotate.phrases import find_actions, find_topics, tagged
from olmo_anchor.annotate.places import find_places
from olmo_anchor.annotate.times import find_times
from olmo_anchor.annotation import PAPER_SCHEMA, Annotation, Schema
from olmo_anchor.errors import InputError

for library in ("textblob", "lemminflect", "yake", "py3langid", "vaderSentiment"):
    pytest.importorskip(library, reason="the extra `annotate` is not installed")

ENGLISH = "The old clock on the stairs struck seven, and nobody in the house was awake to hear it. "
GERMAN = "Es war einmal ein alter König, der hatte eine Tochter und wohnte in einem Schloss. "
KURDISH = (
    "Ez ji te hez dikim û ez dixwazim bi te re bim, lê tu ji min dûr î. Roja min bi te dest pê "
    "dike û bi te diqede, her roj û her şev ez li te difikirim."
)


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

    def test_a_day_or_a_feast_is_no_name(self) -> None:
        assert find_names("He came at Christmas, and on Fridays.", "") == []

    def test_no_text(self) -> None:
        assert find_names("", "") == []
        assert find_names("1 + 1 = 2", "") == []


class TestTopics:
    def topics(self, text: str, *names: str) -> list[str]:
        return find_topics(tagged(text), names, text)

    def test_a_noun_with_what_tells_more_of_it(self) -> None:
        assert self.topics("The bailiff kept cheap vodka in an old box.") == [
            "cheap vodka",
            "bailiff",
            "box",
        ]

    def test_names_and_what_any_story_has_are_none(self) -> None:
        text = "Pierre put his hand on the table; in a moment the wolf was at his side."
        assert self.topics(text, "Pierre") == ["wolf"]

    def test_what_comes_back_goes_first(self) -> None:
        text = "A gun, a rope and a whale. The whale was white; nobody had seen such a whale."
        assert self.topics(text)[0] == "whale"

    def test_contractions_make_no_words(self) -> None:
        assert self.topics("I don't, I won't, they'd, it's, we've, ain't: I can't.") == []


class TestActions:
    def test_an_infinitive_with_its_object(self) -> None:
        tags = tagged("Liza embraced Pierre, tore the yellow letter, and crept into the dark.")
        assert find_actions(tags, most=9) == ["embrace Pierre", "tear letter", "creep"]

    def test_an_adjective_of_a_verb_is_none(self) -> None:
        assert find_actions(tagged("He saw a stooping man, who was confused.")) == []

    def test_who_speaks_is_no_object(self) -> None:
        assert find_actions(tagged('"Never," whispered Tom.')) == ["whisper"]

    def test_verbs_of_any_story_are_none(self) -> None:
        assert find_actions(tagged("She said that he had come, and went to see him.")) == []


class TestPlaces:
    def places(self, text: str, context: str = "") -> list[str]:
        return find_places(text, context, find_names(text, context, most=9), most=9)

    def test_where_somebody_is(self) -> None:
        assert self.places("They lived in Coralio, near the sea.") == ["Coralio", "sea"]
        assert self.places("She ran through the dark forest to the hut.") == ["forest", "hut"]

    def test_a_place_is_known_from_elsewhere(self) -> None:
        text = "All Coralio laughed, and so did Keogh."
        assert self.places(text, "He was born in Coralio. " + text) == ["Coralio"]
        assert self.places(text, text) == []

    def test_a_name_that_says_so_and_one_that_everybody_knows(self) -> None:
        assert self.places("We drove to Baker Street.") == ["Baker Street"]
        assert self.places("He had never seen London.") == ["London"]

    def test_who_acts_is_no_place(self) -> None:
        text = "There was nothing in Darcy that she liked. Now Darcy said so, and Darcy went."
        assert self.places(text) == []
        assert self.places("He said it in English, in God's name.") == []


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "times"),
        [
            ("One evening in the spring of 1881 he left.", ["1881", "spring", "evening"]),
            ("On 3 May 1893 they sailed.", ["May 1893"]),
            ("It was May, and he may march.", []),
            ("They came in March, at seven o'clock.", ["March", "seven o'clock"]),
            ("A house of the nineteenth century.", ["nineteenth century"]),
            ("A song of the 1920s, at Christmas.", ["1920s", "Christmas"]),
            ("They met every Sunday morning.", ["Sunday morning"]),
            ("It broke in 1200 pieces, and cost 1500 dollars.", []),
            ("Good morning, sir! Good night!", []),
            ("A spring of water, a coiled spring.", []),
        ],
    )
    def test_times(self, text: str, times: list[str]) -> None:
        assert find_times(text, most=9) == times


class TestLanguage:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("What is it?", "en"),
            ("Où est la gare ?", "fr"),
            ("Das Haus ist groß und alt.", "de"),
            ("今天天气很好。", "zh"),
            ("日本語を勉強します。", "ja"),
            (KURDISH, "ku"),
        ],
    )
    def test_what_is_certain(self, text: str, code: str) -> None:
        assert language_of(text, text) == code

    @pytest.mark.parametrize("text", ["Yes!", "Lara ate kiwi.", "x", "12", "", "😀😀", "ZZZ"])
    def test_what_is_too_short_to_tell(self, text: str) -> None:
        assert language_of(text, text) == ""
        assert language_of(text, ENGLISH) == "en"
        assert language_of(text, GERMAN) == "de"

    def test_a_long_chunk_has_its_own(self) -> None:
        assert language_of(GERMAN * 4, ENGLISH) == "de"

    def test_another_script_is_another_language(self) -> None:
        assert language_of("你好世界", ENGLISH) == "zh"
        assert language_of("Да.", ENGLISH) == ""


def tags(text: str, context: str | None = None, schema: Schema = KEYWORD_SCHEMA) -> Annotation:
    chunk = Chunk(0, 0, "a", 0, text, text if context is None else context)
    (outcome,) = KeywordAnnotator(schema).annotate([chunk])
    assert isinstance(outcome, Annotation)
    assert schema.refuse(outcome) is None
    return outcome


def test_prose() -> None:
    text = (
        "Alehin lived in the lower storey, with arched ceilings and little windows; in winter "
        "there was a horrible smell of cheap vodka in the kitchen, and Alehin wept bitterly."
    )
    assert tags(text).pairs() == [
        ["topic", "arched ceilings"],
        ["topic", "horrible smell"],
        ["entity", "Alehin"],
        ["action", "weep"],
        ["location", "kitchen"],
        ["time", "winter"],
        ["sentiment", "negative"],
        ["language", "English"],
    ]


def test_each_key_has_its_first_tag_before_any_has_its_second() -> None:
    text = (
        "In winter the hungry wolves came through the forest, howled, and frightened the "
        "shepherds; Anne Bonny and Jack Rackham killed the wolves with a rusty axe."
    )
    few = Schema(keys=KEYWORD_SCHEMA.keys, max_tags=7)
    assert [tag.key for tag in tags(text, schema=few).tags] == list(KEYWORD_SCHEMA.keys)
    assert len(tags(text).tags) == 8


def test_other_languages_have_key_phrases_names_and_the_language() -> None:
    french = (
        "Le vieux capitaine regardait la mer depuis le pont du navire. Le navire quittait la côte "
        "de Bretagne, et le capitaine pensait à Marguerite, qui restait seule au village."
    )
    found = tags(french)
    assert {tag.key for tag in found.tags} == {"topic", "entity", "language"}
    assert "Marguerite" in found.get("entity")
    assert found.get("language") == ("French",)
    # A capital makes no name in German, but it does tell the nouns.
    german = tags(GERMAN)
    assert german.get("entity") == ()
    assert set(german.get("topic")) <= {"könig", "tochter", "schloss"}
    assert tags("Arm in Arm.", GERMAN).get("language") == ("German",)


def test_chinese_has_no_words_to_take_apart() -> None:
    text = "今天天气很好。我们一起去公园散步。看到了许多美丽的花。" * 3
    assert tags(text).pairs() == [["language", "Chinese"]]


def test_a_chunk_without_a_letter_still_has_an_annotation() -> None:
    assert tags("12").pairs() == [["sentiment", "neutral"]]
    assert tags("***", ENGLISH).get("language") == ("English",)


def test_code() -> None:
    found = tags("for i in range(10):\n    print(f'{i} apples')  # see http://a.b/c?d=e\n" * 5)
    assert found.get("action") == ()


def test_of_a_long_chunk_the_start_is_looked_at() -> None:
    text = "The wolf killed the sheep. " * 40_000
    assert len(text) > 1_000_000
    assert tags(text).get("action") == ("kill sheep",)


def test_only_the_keys_of_the_schema_are_written() -> None:
    found = tags("Anne Bonny met the captain, and Anne Bonny laughed.", ENGLISH, PAPER_SCHEMA)
    assert [tag.key for tag in found.tags] == ["topic", "entity", "action", "sentiment", "language"]
    topics = tags("The whale dived.", schema=Schema(keys=("topic",), max_tags=1))
    assert topics.pairs() == [["topic", "whale"]]
    with pytest.raises(InputError, match="none of the keys"):
        KeywordAnnotator(Schema(keys=("mood",)))


def test_the_keys_are_the_papers() -> None:
    assert set(KEYWORD_SCHEMA.keys) <= set(PAPER_SCHEMA.keys)


@pytest.mark.parametrize("library", ["textblob", "yake"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        InputError, match=rf"needs {library}: pip install 'olmo-anchor\[annotate\]'"
    ):
        KeywordAnnotator()


def test_order_and_company_do_not_matter() -> None:
    texts = ["Yes!", GERMAN, KURDISH, ENGLISH * 3, "He sat in London.", "Arm in Arm."]
    chunks = [Chunk(0, n, None, 0, text, text) for n, text in enumerate(texts)]
    annotator = KeywordAnnotator()
    forwards = list(annotator.annotate(chunks))
    assert list(annotator.annotate(chunks[::-1]))[::-1] == forwards
    assert [outcome for chunk in chunks for outcome in annotator.annotate([chunk])] == forwards


@pytest.mark.slow
def test_the_same_in_any_process() -> None:
    code = (
        "from tests.annotate.test_keyword import EXAMPLES, tags\n"
        "print([tags(text).pairs() for text, _ in EXAMPLES])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    "text",
    [
        "\u2028x",
        "a" * 300 + " b",
        "\x00",
        "\ufffd",
        "\u2018\u2019\u201c\u201d\u2014",
        " \n ",
        "",
        "a",
        "😀😀😀",
        "/ // a/b &slash; *",
    ],
)
def test_any_text_gives_a_valid_annotation(text: str) -> None:
    tags(text)


PIECES = st.sampled_from(
    [
        "wolf",
        "He killed",
        " ",
        "\n",
        "'s",
        "n't",
        "/",
        "London",
        "in the sea",
        "1881",
        ".",
        "\u2014",
    ]
)


@given(st.text() | st.lists(PIECES, max_size=30).map("".join), st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_arbitrary_text_gives_a_valid_annotation(text: str, context: str) -> None:
    tags(text, context)


PAGE = (Path(__file__).parents[2] / "docs" / "keyword.md").read_text("utf-8")
EXAMPLES = re.findall(r"^> ([^|]*)\n\n\| key .*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("text", "rows"), EXAMPLES)
def test_the_examples_of_the_page_are_what_it_gives(text: str, rows: str) -> None:
    cells = [[cell.strip() for cell in row[1:-1].split("|")] for row in rows.splitlines()]
    found = tags(text.replace("\n> ", " "))
    assert {key: said for key, _, said in cells} == {
        key: "; ".join(found.get(key)) for key in KEYWORD_SCHEMA.keys
    }


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 8
