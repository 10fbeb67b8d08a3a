"""Entropies in bits, against values worked out by hand, and intervals against known truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.evaluation.bootstrap import gap_closed, interval, unseen_distribution
from olmo_anchor.evaluation.entropy import chao_shen, coverage, miller_madow, plug_in

COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=30)


def test_plug_in_by_hand() -> None:
    assert plug_in([1, 1, 1, 1]) == pytest.approx(2)
    assert plug_in([2, 1, 1]) == pytest.approx(1.5)
    assert plug_in([7, 0]) == 0
    assert plug_in([]) == 0


def test_miller_madow_adds_half_a_nat_per_sample_and_label() -> None:
    assert miller_madow([2, 1, 1]) == pytest.approx(1.5 + 2 / 8 / math.log(2))


def test_coverage_by_hand() -> None:
    assert coverage([3, 2]) == 1
    # f1 = 2, f2 = 1, n = 4: 1 - 2/4 * (3 * 2) / (3 * 2 + 2 * 1)
    assert coverage([2, 1, 1]) == pytest.approx(1 - 0.5 * 6 / 8)
    assert coverage([]) == 0


def test_chao_shen_by_hand() -> None:
    shares = 0.5 * np.array([0.5, 0.25, 0.25])  # Good's coverage is 1 - 2/4
    expected = -(shares * np.log2(shares) / (1 - (1 - shares) ** 4)).sum()
    assert chao_shen([2, 1, 1]) == pytest.approx(expected)


@given(COUNTS)
def test_no_estimate_fails_or_falls_below_the_plug_in(counts: list[int]) -> None:
    assert 0 <= plug_in(counts) <= math.log2(max(len(counts), 1)) + 1e-9
    assert miller_madow(counts) >= plug_in(counts)
    assert math.isfinite(chao_shen(counts))
    assert 0 <= coverage(counts) <= 1


@given(COUNTS.filter(any))
def test_the_unseen_get_what_the_coverage_leaves(counts: list[int]) -> None:
    whole = unseen_distribution(counts)
    assert whole.sum() == pytest.approx(1)
    assert (whole >= 0).all()
    assert len(whole) >= sum(count > 0 for count in counts)


@given(COUNTS.filter(any))
def test_an_interval_holds_its_value(counts: list[int]) -> None:
    found = interval(counts, np.random.default_rng(0))
    assert 0 <= found.low <= found.value <= found.high
    assert found.value == plug_in(counts)


def zipf(labels: int) -> np.ndarray:
    shares = 1 / np.arange(1, labels + 1)
    return shares / shares.sum()


COLLAPSED = np.concatenate((np.full(5, 0.18), np.full(43, 0.1 / 43)))


@pytest.mark.parametrize(
    "shares",
    [np.full(48, 1 / 48), zipf(48), COLLAPSED, np.full(5, 1 / 5)],
    ids=["uniform", "zipf", "collapsed", "five"],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(shares: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    truth, tries = plug_in(shares), 200
    held = 0
    for _ in range(tries):
        found = interval(rng.multinomial(560, shares), rng)
        held += found.low <= truth <= found.high
    # 95 % of 200 with three standard deviations
    assert held / tries >= 0.9


def test_gap_closed_is_a_share_of_the_gap() -> None:
    rng = np.random.default_rng(0)
    base, sft = [100] * 32, [100] * 4
    assert gap_closed(base, sft, [100] * 4, rng).value == pytest.approx(0)
    assert gap_closed(base, sft, [100] * 32, rng).value == pytest.approx(1)
    half = gap_closed(base, sft, [100] * 8, rng)
    assert half.value == pytest.approx(1 / 3)
    assert half.low <= 1 / 3 <= half.high < 0.4


def test_gap_closed_is_not_clipped() -> None:
    rng = np.random.default_rng(0)
    assert gap_closed([10] * 8, [10] * 4, [10] * 16, rng).value == pytest.approx(2)
    assert gap_closed([10] * 8, [10] * 4, [10] * 2, rng).value == pytest.approx(-1)


def test_no_gap_is_no_share() -> None:
    with pytest.raises(ValueError, match="no gap"):
        gap_closed([5, 5], [5, 5], [5, 5], np.random.default_rng(0))
