"""Literal masks by hand, and the value-only decision under packing and truncation."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.policy import MaskPolicy, is_value_only, policy_mask, value_only_tokens
from olmo_anchor.spans import ControlIds

OPEN, CLOSE, COLON, NEWLINE, END = 1, 2, 3, 4, 5
CONTROL = ControlIds(open=OPEN, close=CLOSE, colon=COLON, newline=NEWLINE, end_of_text=END)

# prompt prompt <open> topic : pirates \n name : Bo <close> text text <end>
IDS = np.array([20, 21, OPEN, 10, COLON, 11, NEWLINE, 12, COLON, 13, CLOSE, 22, 23, END])
CORPUS = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], dtype=bool)


def bits(mask: np.ndarray) -> list[int]:
    return mask.astype(int).tolist()


@pytest.mark.parametrize("policy", ["full", "unmasked"])
def test_full_and_unmasked_train_what_the_corpus_trains(policy: str) -> None:
    assert bits(policy_mask(IDS, CORPUS, policy, CONTROL)) == bits(CORPUS)
    assert bits(policy_mask(IDS, None, policy, CONTROL)) == [1] * 14


def test_anchored_trains_the_text_alone() -> None:
    mask = policy_mask(IDS, CORPUS, MaskPolicy.anchored, CONTROL, value_only_fraction=0.0)
    assert bits(mask) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]


def test_in_a_value_only_document_the_values_alone_are_masked() -> None:
    mask = policy_mask(IDS, CORPUS, MaskPolicy.anchored, CONTROL, value_only_fraction=1.0)
    assert bits(mask) == [0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1]


def test_the_opening_delimiter_can_be_trained_where_the_rest_is_masked() -> None:
    mask = policy_mask(
        IDS, CORPUS, MaskPolicy.anchored, CONTROL, value_only_fraction=0.0, train_opening=True
    )
    assert bits(mask) == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    # What the corpus does not train stays untrained, such as an annotation before an earlier turn.
    later = CORPUS & (np.arange(14) > 10)
    mask = policy_mask(
        IDS, later, MaskPolicy.anchored, CONTROL, value_only_fraction=0.0, train_opening=True
    )
    assert bits(mask) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]


def test_annotation_only_trains_the_annotation_alone() -> None:
    mask = policy_mask(IDS, CORPUS, MaskPolicy.annotation_only, CONTROL, value_only_fraction=1.0)
    assert bits(mask) == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]


def test_the_corpus_mask_wins_over_the_policy() -> None:
    nothing = np.zeros_like(CORPUS)
    for policy in MaskPolicy:
        mask = policy_mask(
            IDS, nothing, policy, CONTROL, value_only_fraction=1.0, pieces=[b" x"] * 32
        )
        assert not mask.any()


def test_the_inputs_are_left_as_they_are() -> None:
    mask = policy_mask(IDS, CORPUS, MaskPolicy.full, CONTROL)
    mask[:] = False
    assert CORPUS.sum() == 12


def test_the_decision_is_the_documented_hash() -> None:
    prefix = IDS[:11]
    digest = hashlib.blake2b(
        (7).to_bytes(8, "little", signed=True) + prefix.astype("<i8").tobytes(), digest_size=8
    ).digest()
    fraction = int.from_bytes(digest, "little") / 2**64
    assert is_value_only(prefix, fraction=fraction * 1.001, seed=7)
    assert not is_value_only(prefix, fraction=fraction * 0.999, seed=7)
    assert is_value_only(prefix.astype(np.uint16), fraction=fraction * 1.001, seed=7)


def test_the_share_of_value_only_documents_is_the_fraction() -> None:
    chosen = [
        is_value_only(np.array([OPEN, k, CLOSE]), fraction=0.1, seed=0) for k in range(20_000)
    ]
    assert np.mean(chosen) == pytest.approx(0.1, abs=0.01)


def test_a_document_without_a_closing_delimiter_is_masked_whole() -> None:
    ids = np.array([20, OPEN, 10, COLON, 11])
    mask = policy_mask(ids, None, MaskPolicy.anchored, CONTROL, value_only_fraction=1.0)
    assert bits(mask) == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("policy", MaskPolicy)
def test_no_tokens_have_no_mask(policy: str) -> None:
    assert policy_mask(IDS[:0], CORPUS[:0], policy, CONTROL).shape == (0,)


def test_keys_and_values_of_a_batch_that_holds_both_kinds_of_documents() -> None:
    rows = np.array([[OPEN, 10, COLON, value, CLOSE, 22, END] for value in range(60, 76)])
    mask = policy_mask(rows, None, MaskPolicy.anchored, CONTROL, value_only_fraction=0.5, seed=3)
    assert len(mask) == 16
    for row, trained in zip(rows, mask, strict=True):
        value_only = is_value_only(row[:5], fraction=0.5, seed=3)
        assert bits(trained) == ([1, 1, 1, 0, 1, 1, 1] if value_only else [0, 0, 0, 0, 0, 1, 1])
    assert {bool(trained[0]) for trained in mask} == {False, True}


@given(
    st.lists(st.integers(10, 500), min_size=1, max_size=12),
    st.integers(-(2**40), 2**40),
    st.floats(0, 1),
    st.integers(1, 4),
)
def test_packing_and_truncation_do_not_change_the_decision(
    values: list[int], seed: int, fraction: float, rows: int
) -> None:
    documents = [np.array([OPEN, 10, COLON, value, CLOSE, *range(30, 34), END]) for value in values]
    alone = [
        policy_mask(d, None, MaskPolicy.anchored, CONTROL, value_only_fraction=fraction, seed=seed)
        for d in documents
    ]
    packed = np.concatenate(documents)
    stacked = np.stack([packed] * rows)
    mask = policy_mask(
        stacked, None, MaskPolicy.anchored, CONTROL, value_only_fraction=fraction, seed=seed
    )
    assert mask.shape == stacked.shape
    assert (mask == np.concatenate(alone)).all()
    cut = policy_mask(
        packed[:-3], None, MaskPolicy.anchored, CONTROL, value_only_fraction=fraction, seed=seed
    )
    assert (cut == np.concatenate(alone)[:-3]).all()


def test_value_only_covers_the_whole_document_and_no_other() -> None:
    one = np.array([OPEN, 10, COLON, 11, CLOSE, 30, END])
    two = np.array([31, 32, END])
    chosen = value_only_tokens(np.concatenate([one, two, one]), CONTROL, fraction=1.0, seed=0)
    assert bits(chosen) == [1] * 7 + [0] * 3 + [1] * 7
