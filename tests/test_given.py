"""Which values a prompt names: by hand, with real tokenizers, and what holds for any ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from olmo_anchor.annotation import Annotation, Tag
from olmo_anchor.given import given_values, names
from olmo_anchor.policy import MaskPolicy, policy_mask
from olmo_anchor.spans import TEXT, VALUE, ControlIds, roles
from olmo_anchor.tokenizer import AnchorTokenizer

OPEN, CLOSE, COLON, NEWLINE, END = 1, 2, 3, 4, 5
CONTROL = ControlIds(open=OPEN, close=CLOSE, colon=COLON, newline=NEWLINE, end_of_text=END)
WORDS = ["a", "pirates", "gardens", "Bo", "topic", "name", "Pirates", "the", "sky", "sk", "y", "."]
WORD = {word: 10 + number for number, word in enumerate(WORDS)}
PIECES = [b"\0", b"\0", b"\0", b":", b"\n", b"\0", *[b""] * 4]
PIECES += [b" " * (word not in "y.") + word.encode() for word in WORDS]


def ids_of(text: str) -> np.ndarray:
    control = {"<": OPEN, ">": CLOSE, ":": COLON, "|": NEWLINE, "#": END}
    return np.array([control[word] if word in control else WORD[word] for word in text.split()])


def trained(text: str, **options: object) -> str:
    """The words that stay targets; the prompt, up to the first opening delimiter, is none."""
    ids = ids_of(text)
    corpus = np.cumsum(ids == OPEN) > 0
    given = {"value_only_fraction": 0.0, "pieces": PIECES, **options}
    mask = policy_mask(ids, corpus, MaskPolicy.anchored_given, CONTROL, **given)  # type: ignore[arg-type]
    return " ".join(np.array(text.split())[mask])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a pirates < topic : pirates | name : Bo > a . #", "pirates a . #"),
        ("a pirates . Bo < topic : pirates | name : Bo > a #", "pirates Bo a #"),
        ("a gardens < topic : pirates > a #", "a #"),
        # In any case, and spelled by other tokens.
        ("a Pirates < topic : pirates > a #", "pirates a #"),
        ("a the sk y < topic : the sky > a #", "the sky a #"),
        ("a the sky < topic : the sk y > a #", "the sk y a #"),
        # Whole words, next to each other.
        ("a sky < topic : sk > a #", "a #"),
        ("a the a sky < topic : the sky > a #", "a #"),
        # A value that stands in its annotation alone, or in the response, is not given.
        ("a < topic : pirates | name : pirates > pirates #", "pirates #"),
        # Nor is what another document named, or an annotation before this one.
        ("a pirates # < topic : pirates > a #", "a #"),
        ("a < topic : pirates > gardens < topic : pirates > a #", "gardens a #"),
        # But an earlier turn is.
        ("a < topic : pirates > gardens < topic : gardens > a #", "gardens gardens a #"),
        # What is unclear is no value: without a key, or never closed.
        ("a pirates < pirates > a #", "a #"),
        ("a pirates < topic : pirates", ""),
        ("a pirates < topic : pirates #", "#"),
        ("a : < topic : | name : Bo > a #", "a #"),
    ],
)
def test_by_hand(text: str, expected: str) -> None:
    assert trained(text) == expected


def test_in_a_value_only_document_keys_and_delimiters_are_trained_too() -> None:
    text = "a pirates < topic : pirates | name : Bo > a #"
    assert trained(text, value_only_fraction=1.0) == "< topic : pirates | name : > a #"
    assert trained(text, train_opening=True) == "< pirates a #"


def test_a_value_outside_the_corpus_mask_is_not_trained() -> None:
    ids = ids_of("a pirates < topic : pirates > a # a sky < topic : sky > a #")
    corpus = np.arange(len(ids)) > 8
    mask = policy_mask(
        ids, corpus, MaskPolicy.anchored_given, CONTROL, value_only_fraction=0, pieces=PIECES
    )
    assert np.flatnonzero(mask).tolist() == [9, 10, 14, 16, 17]


def test_the_policy_asks_for_the_pieces() -> None:
    with pytest.raises(ValueError, match="anchored_given needs the tokenizer's pieces"):
        policy_mask(ids_of("a < topic : a >"), None, MaskPolicy.anchored_given, CONTROL)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("about pirates, please", "pirates", True),
        ("about space-pirates", "pirates", True),
        ("spacepirates", "pirates", False),
        ("pirates_", "pirates", False),
        ("pirates2", "pirates", False),
        ("skyskysky sky", "sky", True),
        ("pirates", "pirates", True),
        ("élan", "lan", False),
        ("c++ and c", "c++", True),
        ("anything", "", False),
        ("", "pirates", False),
    ],
)
def test_words(text: str, value: str, expected: bool) -> None:
    assert names(text, value) is expected


# --- for any ids ---------------------------------------------------------------------------------

TOKENS = st.lists(
    st.sampled_from([OPEN, CLOSE, COLON, NEWLINE, END, *range(10, 10 + len(WORDS))]),
    min_size=1,
    max_size=40,
)


def masks(ids: np.ndarray, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """Under ``anchored_given``, and under ``anchored``."""
    both = (MaskPolicy.anchored_given, MaskPolicy.anchored)
    one, two = (policy_mask(ids, None, p, CONTROL, pieces=PIECES, **options) for p in both)  # type: ignore[arg-type]
    return one, two


@given(TOKENS, st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
def test_it_is_anchored_but_for_values(ids: list[int], fraction: float, opening: bool) -> None:
    row = np.array(ids)
    ours, plain = masks(row, value_only_fraction=fraction, train_opening=opening)
    assert (ours >= plain).all()
    assert (roles(row, CONTROL, inside=False)[ours & ~plain] == VALUE).all()


@given(TOKENS)
def test_a_trained_value_stands_in_the_text_before_it(ids: list[int]) -> None:
    row = np.array(ids)
    ours, plain = masks(row, value_only_fraction=0.0)
    role = roles(row, CONTROL, inside=False)
    for at in np.flatnonzero(ours & ~plain):
        before = row[:at][role[:at] == TEXT]
        words = b"".join(PIECES[token] for token in before.tolist()).lower()
        assert PIECES[row[at]].strip().lower() in words


@given(st.lists(TOKENS, min_size=1, max_size=5), st.integers(1, 3))
def test_packing_and_batches_change_nothing(documents: list[list[int]], rows: int) -> None:
    whole = [np.array([*(t for t in document if t != END), END]) for document in documents]
    alone = np.concatenate([masks(one, value_only_fraction=0.3)[0] for one in whole])
    packed = np.stack([np.concatenate(whole)] * rows)
    assert (masks(packed, value_only_fraction=0.3)[0] == alone).all()


# --- with tokenizers -----------------------------------------------------------------------------


def conversation(tokenizer: AnchorTokenizer, prompt: str, *tags: tuple[str, str]) -> list[str]:
    """The values of these tags that are given by a prompt."""
    head = tokenizer.encode(prompt)
    note = tokenizer.encode_annotation(Annotation(tuple(Tag(*tag) for tag in tags)))
    answer = [*tokenizer.encode("Once upon a time"), tokenizer.control.end_of_text]
    ids = np.array([*head, *note, *answer])
    found = given_values(ids, np.ones(len(ids), bool), tokenizer.control, tokenizer.pieces())
    role = roles(ids, tokenizer.control, inside=False)
    assert (role[found] == VALUE).all()
    runs = np.flatnonzero(np.diff(found.astype(int), prepend=0, append=0)).reshape(-1, 2)
    return [tokenizer.decode(ids[begin:end]).strip() for begin, end in runs]


PROMPTS = [
    ("Tell me a story about pirates.", ["pirates"]),
    ("Pirates! And a dog named anne  bonny?", ["pirates", "Anne Bonny"]),
    ("PIRATES\nof Naïve Café", ["pirates", "naïve café"]),
    ("A story about a pirate.", []),
    ("Airpirates and Anne; Bonny", []),
    ("", []),
]
TAGS = (("topic", "pirates"), ("name", "Anne Bonny"), ("place", "naïve café"))


@pytest.mark.parametrize(("prompt", "expected"), PROMPTS)
def test_prompts_in_dolma2(dolma2: AnchorTokenizer, prompt: str, expected: list[str]) -> None:
    assert conversation(dolma2, prompt, *TAGS) == expected


@pytest.mark.parametrize(("prompt", "expected"), PROMPTS)
def test_prompts_in_a_small_byte_level_bpe(
    tiny: AnchorTokenizer, prompt: str, expected: list[str]
) -> None:
    assert conversation(tiny, prompt, *TAGS) == expected


@pytest.mark.slow
@settings(max_examples=50)
@given(st.text(max_size=40), st.text(min_size=1, max_size=12), st.booleans())
def test_the_text_is_that_of_the_ids(
    dolma2: AnchorTokenizer, text: str, value: str, put: bool
) -> None:
    prompt = f"{text} {value} {text}" if put else text
    ids = dolma2.encode(prompt)
    pieces = dolma2.pieces()
    assert b"".join(pieces[token] for token in ids).decode() == prompt


def words_tokenizer(folder: Path, decoder: object) -> AnchorTokenizer:
    """Whole words, as the story world's: no token holds a space."""
    text = "Tell me a story about the sky pirates . : \n topic name Bo Sk y"
    vocabulary = {word: number for number, word in enumerate(["<unk>", *text.split(" ")])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    splits = [("Split", " ", "removed"), ("Split", ".", "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, behavior) for _, pattern, behavior in splits]
    )
    tokenizer.decoder = decoder  # type: ignore[assignment]
    names = ("<|endoftext|>", "<|pad|>", "<|extra_id_1|>", "<|extra_id_2|>")
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in names])
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return AnchorTokenizer.load(path)


def test_words_without_spaces(tmp_path: Path) -> None:
    decoder = decoders.WordPiece(prefix="##", cleanup=False)
    tokenizer = words_tokenizer(tmp_path, decoder)
    told = "Tell me a story about the sky ."
    assert conversation(tokenizer, told, ("topic", "the sky"), ("name", "Bo")) == ["the sky"]
    assert conversation(tokenizer, told, ("topic", "sky pirates"), ("name", "me")) == ["me"]
    # Two words are not one, and a word that the vocabulary lacks names none.
    assert conversation(tokenizer, "Tell Sk y .", ("topic", "sky")) == []
    assert conversation(tokenizer, "Tell dragons .", ("topic", "unicorns")) == []
