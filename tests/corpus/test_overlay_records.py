"""Annotations to ids, and what is refused because it would be read otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmo_anchor.annotation import Annotation, Tag
from olmo_anchor.corpus.overlay_records import AnnotationEncoder
from olmo_anchor.spans import DELIMITER, KEY, VALUE, roles
from olmo_anchor.tokenizer import AnchorTokenizer

keys = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1)
one_line = values.map(str.strip).filter(lambda v: v.splitlines() == [v] and len(v) <= 80)
annotations = st.lists(st.builds(Tag, keys, one_line), max_size=4).map(
    lambda tags: Annotation(tuple(tags))
)


@settings(max_examples=100, deadline=None)
@given(st.lists(annotations, max_size=5))
def test_ids_are_the_tokenizers_and_roles_are_read_back(
    tiny: AnchorTokenizer, given_annotations: list[Annotation]
) -> None:
    encoder = AnnotationEncoder(tiny, max_tokens=10_000)
    encoded = [encoder.encode(annotation) for annotation in given_annotations]
    for annotation, (ids, built) in zip(given_annotations, encoded, strict=True):
        assert ids == tiny.encode_annotation(annotation)
        assert roles(ids, tiny.control).tolist() == built
    assert encoder.misread([one[0] for one in encoded], [one[1] for one in encoded]).size == 0


def test_an_annotation_that_would_be_read_otherwise_is_found(tiny: AnchorTokenizer) -> None:
    control = tiny.control
    good = [control.open, 20, control.colon, 21, control.close]
    built = [DELIMITER, KEY, KEY, VALUE, DELIMITER]
    # A newline in a value, and a colon in a key.
    newline = [control.open, 20, control.colon, control.newline, control.close]
    colon = [control.open, 20, control.colon, control.colon, control.close]
    encoder = AnnotationEncoder(tiny, max_tokens=100)
    wrong = encoder.misread(
        [good, newline, good, colon],
        [built, built, built, [DELIMITER, KEY, KEY, KEY, DELIMITER]],
    )
    assert wrong.tolist() == [1, 3]


def test_a_value_that_the_vocabulary_cannot_spell_is_refused(tmp_path: Path) -> None:
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

    words = ["<unk>", "topic", "cat", ":", "\n"]
    model = models.WordLevel({word: k for k, word in enumerate(words)}, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|\n|:"), "isolated")
    names = ("<|endoftext|>", "<|pad|>", "<|extra_id_1|>", "<|extra_id_2|>")
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in names])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = AnnotationEncoder(AnchorTokenizer.load(tmp_path), max_tokens=100)
    assert len(encoder.encode(Annotation.of(("topic", "cat")))[0]) == 5
    with pytest.raises(ValueError, match="cannot spell"):
        encoder.encode(Annotation.of(("topic", "dog")))
