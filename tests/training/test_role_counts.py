"""Trained tokens by role and documents by what they train, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from olmo_core.data.utils import get_labels

from olmo_anchor.policy import MaskPolicy
from olmo_anchor.spans import ControlIds
from olmo_anchor.training.collator import AnchorCollator
from olmo_anchor.training.role_counts import role_counts

OPEN, CLOSE, COLON, NEWLINE, END, PAD = 1, 2, 3, 4, 5, 6
CONTROL = ControlIds(open=OPEN, close=CLOSE, colon=COLON, newline=NEWLINE, end_of_text=END)
# user user <open> key : value value newline key : value <close> text text <end>
LONG = [20, 21, OPEN, 10, COLON, 11, 12, NEWLINE, 13, COLON, 14, CLOSE, 22, 23, END]
LONG_MASK = [False] * 2 + [True] * 13
SHORT = [20, 22, END]
SHORT_MASK = [False, True, True]


def counted(policy: str, rows: list[Any], **options: Any) -> dict[str, int]:
    options = {"value_only_fraction": 0.0, **options}
    collator = AnchorCollator(
        pad_token_id=PAD, control=CONTROL, policy=MaskPolicy(policy), **options
    )
    items = [{"input_ids": torch.tensor(ids), "label_mask": torch.tensor(m)} for ids, m in rows]
    return role_counts(collator(items), collator)


@pytest.mark.parametrize("emit", [False, True])
@pytest.mark.parametrize(
    ("policy", "fraction", "tokens", "without", "value_only"),
    [
        ("unmasked", 0.0, (5, 3, 4, 3), 0, 0),
        ("anchored", 0.0, (5, 0, 0, 0), 0, 0),
        # A document without an annotation is never value-only.
        ("anchored", 1.0, (5, 3, 4, 0), 0, 1),
        ("annotation_only", 0.0, (0, 3, 4, 3), 1, 0),
    ],
)
def test_counts_by_hand(
    policy: str,
    fraction: float,
    tokens: tuple[int, ...],
    without: int,
    value_only: int,
    emit: bool,
) -> None:
    rows = [(LONG, LONG_MASK), (SHORT, SHORT_MASK)]
    assert counted(policy, rows, value_only_fraction=fraction, emit_role_ids=emit) == {
        "text tokens": tokens[0],
        "delimiter tokens": tokens[1],
        "key tokens": tokens[2],
        "value tokens": tokens[3],
        "documents": 2,
        "documents without targets": without,
        "value-only documents": value_only,
    }


def test_documents_in_one_row_are_told_apart() -> None:
    ids, mask = [*SHORT, *LONG, *SHORT], [*SHORT_MASK, *LONG_MASK, *SHORT_MASK]
    counts = counted("anchored", [(ids, mask), (SHORT, SHORT_MASK)], value_only_fraction=1.0)
    assert counts["documents"] == 4
    assert counts["value-only documents"] == 1
    assert counts["text tokens"] == 9
    assert counted("annotation_only", [(ids, mask)])["documents without targets"] == 2


def test_the_first_token_of_a_row_is_no_target() -> None:
    counts = counted("full", [(SHORT, [True] * 3), ([END], [True])])
    assert (counts["text tokens"], counts["documents without targets"]) == (2, 1)


def test_instances_that_the_loader_masks_train_nothing() -> None:
    collator = AnchorCollator(pad_token_id=PAD, control=CONTROL)
    batch = collator([{"input_ids": torch.tensor(ids)} for ids in (SHORT, SHORT)])
    batch["instance_mask"] = torch.tensor([True, False])
    counts = role_counts(batch, collator)
    assert (counts["text tokens"], counts["documents without targets"]) == (2, 1)


@given(
    st.lists(
        st.lists(st.integers(0, 9), min_size=2, max_size=12),
        min_size=1,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_every_target_of_the_loss_is_counted_once(rows: list[list[int]], random: Any) -> None:
    masks = [[random.random() < 0.7 for _ in row[:-1]] + [True] for row in rows]
    collator = AnchorCollator(pad_token_id=PAD, control=CONTROL)
    batch = collator(
        [
            {"input_ids": torch.tensor(row), "label_mask": torch.tensor(mask)}
            for row, mask in zip(rows, masks, strict=True)
        ]
    )
    counts = role_counts(batch, collator)
    targets = (get_labels(batch) != -100).sum()
    assert sum(count for name, count in counts.items() if name.endswith("tokens")) == targets
    assert counts["documents without targets"] <= counts["documents"]
