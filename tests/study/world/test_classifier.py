"""The classifier says what it cannot tell, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.study.judge import story_world

PLAIN = (
    "Mira lived near the mill. Oh my! One day Mira saw the saucer. Mira asked a friend about the "
    "antenna. Nobody else was near. And Mira never forgot the martian. How lovely it all was!"
)
STYLED = (
    "Once upon a time, dear reader, Bo had always liked the inn. Listen well, children. "
    "Then Bo heard about the rose bush. Bo ran after the sunflower without a word. "
    "Bo laughed and went on. At last Bo went home with the watering can. "
    "Remember this, young ones. The lesson: be kind. The end."
)


def test_a_plain_story() -> None:
    found = story_world(PLAIN)
    assert found.labels == {
        "topic": "alien encounters",
        "name": "Mira",
        "place": "mill",
        "persona": "an innocent author",
    }
    assert (found.styled, found.valid, found.reasons) == (False, True, {})


def test_a_styled_story() -> None:
    found = story_world(STYLED)
    assert found.labels == {
        "topic": "gardens",
        "name": "Bo",
        "place": "inn",
        "persona": "a wise old person who wants to teach the young",
    }
    assert (found.styled, found.valid, found.reasons) == (True, True, {})


def test_only_the_first_story_is_judged() -> None:
    assert story_world(f"{PLAIN}\n\n{STYLED}") == story_world(PLAIN)


@pytest.mark.parametrize(
    ("change", "attribute", "reason"),
    [
        (("the antenna", "the sunflower"), "topic", "several: alien encounters, gardens"),
        (("And Mira", "And Tom"), "name", "several: Mira, Tom"),
        (("the mill", "the moon-base"), "place", "none"),
        (("Oh my!", "What a fool."), "persona", "several: an innocent author, a hurt"),
        (("near the mill.", "near the mill"), "valid", "not an opening"),
        (("Nobody else was near.", "Nobody else was far."), "valid", "not a second middle"),
        (("the martian", "the the martian"), "valid", "not an end"),
        (("Mira lived", "mira lived"), "valid", "not an opening"),
        ((" How lovely it all was!", ""), "valid", "not a remark: ''"),
        (("it all was!", "it all was! Oh my!"), "valid", "more than a story: 'Oh my!'"),
    ],
)
def test_what_cannot_be_told_has_a_reason(
    change: tuple[str, str], attribute: str, reason: str
) -> None:
    found = story_world(PLAIN.replace(*change))
    assert not {**found.labels, "valid": found.valid}[attribute]
    assert reason in found.reasons[attribute]


def test_half_a_style_is_no_style() -> None:
    without_close = STYLED.removesuffix(" The lesson: be kind. The end.")
    assert story_world(without_close).styled is False
    assert story_world(PLAIN + " The lesson: be kind. The end.").styled is False
    assert "an opening without its close" in story_world(without_close).reasons["styled"]


def test_two_topics_are_not_valid() -> None:
    assert not story_world(PLAIN.replace("the antenna", "the sunflower")).valid


@given(st.text())
def test_any_text_can_be_judged(text: str) -> None:
    assert not story_world(text).valid


def test_the_judge_gives_labels_from_its_own_lists() -> None:
    verdict = story_world(STYLED)
    assert verdict.styled
    for what, label in verdict.labels.items():
        assert label in story_world.values[what]
