"""The index arithmetic of interleaving: by hand, and against a slow reference."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.training.window import cut_window

# content  a b | c d e | f        annotations: XX before a, YYY before c, Z before f
# stream   X X a b Y Y Y c d e Z f
#          0 1 2 3 4 5 6 7 8 9 10 11
STARTS = np.array([0, 2, 5, 6])
POSITIONS = np.array([0, 4, 10, 12])


def test_a_range_that_begins_inside_one_annotation_and_ends_inside_another() -> None:
    window = cut_window(STARTS, POSITIONS, 1, 6)
    assert window.annotated.astype(int).tolist() == [1, 0, 0, 1, 1]
    assert window.content == (0, 2)
    assert window.annotation == (1, 4)
    assert window.anchors.tolist() == [0, 2]
    assert window.reach.tolist() == [1, 2]


def test_a_range_of_content_alone_after_an_annotation_that_it_does_not_hold() -> None:
    window = cut_window(STARTS, POSITIONS, 7, 10)
    assert window.annotated.tolist() == [False] * 3
    assert window.content == (2, 5)
    assert window.annotation == (5, 5)


def test_content_before_the_first_annotation() -> None:
    window = cut_window(np.array([2, 4]), np.array([2, 7]), 0, 4)
    assert window.annotated.astype(int).tolist() == [0, 0, 1, 1]
    assert window.content == (0, 2)
    assert window.annotation == (0, 2)


def test_an_overlay_without_annotations() -> None:
    window = cut_window(np.array([9]), np.array([9]), 3, 8)
    assert not window.annotated.any()
    assert (window.content, window.annotation) == ((3, 8), (0, 0))


@given(
    content=st.integers(1, 30),
    lengths=st.dictionaries(st.integers(0, 29), st.integers(1, 5)),
    data=st.data(),
)
def test_any_range_is_the_slice_of_the_whole(
    content: int, lengths: dict[int, int], data: st.DataObject
) -> None:
    starts = sorted(start for start in lengths if start < content)
    stream, anchors, positions, annotation = [], [], [], 0
    for token in range(content):
        if token in starts:
            positions.append(len(stream))
            for _ in range(lengths[token]):
                stream.append(-1 - annotation)
                anchors.append(token)
                annotation += 1
        stream.append(token)
        anchors.append(None)
    begin = data.draw(st.integers(0, len(stream) - 1))
    end = data.draw(st.integers(begin + 1, len(stream)))

    window = cut_window(
        np.array([*starts, content]), np.array([*positions, len(stream)]), begin, end
    )
    rebuilt = np.empty(end - begin, int)
    rebuilt[window.annotated] = -1 - np.arange(*window.annotation)
    rebuilt[~window.annotated] = np.arange(*window.content)
    assert rebuilt.tolist() == stream[begin:end]
    anchored = [anchor for anchor in anchors[begin:end] if anchor is not None]
    assert np.repeat(window.anchors, window.reach).tolist() == anchored
