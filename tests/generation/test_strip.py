from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.annotation import Annotation, Tag
from olmo_anchor.generation.strip import strip
from olmo_anchor.spans import TEXT, roles
from olmo_anchor.tokenizer import AnchorTokenizer

PIRATES = Annotation((Tag("topic", "pirates"), Tag("entity", "Anne: the cat")))


def test_annotation_then_response(tiny: AnchorTokenizer) -> None:
    head, text = tiny.encode_annotation(PIRATES), tiny.encode("The cat sat.\n")
    said = strip([*head, *text, tiny.control.end_of_text], tiny)
    assert said.response == "The cat sat."
    assert said.annotation == PIRATES
    assert said.annotation_text == "topic:pirates\nentity:Anne: the cat"
    assert (said.no_annotation, said.unclosed) == (False, False)
    assert (said.annotation_tokens, said.response_tokens) == (len(head), len(text))


def test_without_an_annotation_all_is_response(tiny: AnchorTokenizer) -> None:
    said = strip(tiny.encode("topic:cat\n\n the dog"), tiny)
    assert said.response == "topic:cat\n\n the dog"
    assert (said.annotation, said.no_annotation, said.unclosed) == (None, True, False)


def test_an_unclosed_annotation_leaves_no_response(tiny: AnchorTokenizer) -> None:
    opened = [tiny.control.open, *tiny.encode("topic:cat")]
    end = tiny.control.end_of_text
    for tail in ([], [end], [end, tiny.control.close, *tiny.encode("The cat")]):
        said = strip([*opened, *tail], tiny)
        assert said.response is None
        assert (said.annotation, said.unclosed, said.no_annotation) == (None, True, False)
        assert said.annotation_text == "topic:cat"


def test_a_second_opening_leaves_the_first_unclosed(tiny: AnchorTokenizer) -> None:
    whole = tiny.encode_annotation(PIRATES)
    assert strip([tiny.control.open, *whole, *tiny.encode("The cat")], tiny).unclosed


def test_the_response_ends_where_the_next_chunk_begins(tiny: AnchorTokenizer) -> None:
    head, text = tiny.encode_annotation(PIRATES), tiny.encode("The cat sat.\n\n")
    assert strip([*head, *text, *head, *tiny.encode("The dog")], tiny).response == "The cat sat."
    assert strip([*text, *head, *tiny.encode("The dog")], tiny).response == "The cat sat."


def test_a_stray_closing_delimiter_is_dropped(tiny: AnchorTokenizer) -> None:
    text = [*tiny.encode("The cat"), tiny.control.close, *tiny.encode(" sat")]
    assert strip(text, tiny).response == "The cat sat"
    assert strip([*tiny.encode_annotation(PIRATES), *text], tiny).response == "The cat sat"


def test_an_empty_annotation_is_an_annotation(tiny: AnchorTokenizer) -> None:
    said = strip([tiny.control.open, tiny.control.close, *tiny.encode("cat")], tiny)
    assert (said.response, said.annotation, said.no_annotation) == ("cat", Annotation(), False)


def test_nothing_at_all_is_an_empty_response(tiny: AnchorTokenizer) -> None:
    for ids in ([], [tiny.control.end_of_text]):
        said = strip(ids, tiny)
        assert (said.response, said.no_annotation) == ("", True)


@given(data=st.data())
def test_nothing_of_an_annotation_reaches_the_response(
    tiny: AnchorTokenizer, data: st.DataObject
) -> None:
    control = tiny.control
    events = st.sampled_from([control.open, control.close, control.end_of_text, control.colon])
    # Letters stand for themselves here, so that the response shows which ids are in it.
    letters = st.sampled_from([tiny.encode(char)[0] for char in "abcdefgh"])
    ids = data.draw(st.lists(st.one_of(events, letters), max_size=30))
    said = strip(ids, tiny)
    assert said.unclosed == (said.response is None)
    if said.response is None:
        return
    assert not any(text in said.response for text in tiny.control_strings)
    document = ids[: ids.index(control.end_of_text)] if control.end_of_text in ids else ids
    text = [
        token
        for token, role in zip(document, roles(document, control, inside=False), strict=True)
        if role == TEXT
    ]
    # Whole where there is no further chunk; a part of it otherwise.
    assert tiny.decode(text).startswith(said.response)
    assert said.response_tokens <= len(text)
