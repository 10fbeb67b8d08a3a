"""Documents, chunks, runs and roles, by hand-written ids and by slow reference implementations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from olmo_anchor.spans import (
    DELIMITER,
    KEY,
    TEXT,
    VALUE,
    ControlIds,
    Events,
    NewlineTable,
    chunk_starts,
    document_bounds,
    final_run_mask,
    roles,
    trained_runs,
)
from olmo_anchor.tokenizer import AnchorTokenizer

# Ids by name, so that cases read as pictures: letters are ordinary tokens.
NAMES = {"<": 1, ">": 2, ":": 3, "/": 4, "$": 5}
CONTROL = ControlIds(open=1, close=2, colon=3, newline=4, end_of_text=5)
ROLES = {".": TEXT, "D": DELIMITER, "K": KEY, "V": VALUE}


def ids_of(picture: str) -> list[int]:
    return [NAMES.get(char, ord(char)) for char in picture]


def roles_of(picture: str) -> list[int]:
    return [ROLES[char] for char in picture]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("xx<t:aa/n:b>yy$", "..DKKVVDKKVD..."),  # the usual
        ("<>x", "DD."),  # an empty annotation
        ("<t:a:b>", "DKKVVVD"),  # a value that contains a colon
        ("<ab/t:c>", "DVVDKKVD"),  # a line without a colon is a value
        ("<tt:>", "DKKKD"),  # a key without a value
        ("<:a>", "DKVD"),  # a colon without a key
        ("<//t:a>", "DDDKKVD"),  # empty lines
        ("<t:a/", "DVVVV"),  # never closed
        ("<t:a/$x<t:b>", "DVVVV..DKKVD"),  # never closed in its document
        ("<t:a<n:b>x", "DVVVDKKVD."),  # opened twice: the first was never closed
        ("x>y<t:a>", ".D.DKKVD"),  # stray closing delimiter; see `inside` below
        ("a$b>c$", "...D.."),  # stray closing delimiter in a later document
        ("x:y/z$", "......"),  # colons and newlines of the text are text
        ("$$", ".."),
        (">>", "DD"),
        ("<", "D"),
        ("", ""),
    ],
)
def test_roles(tokens: str, expected: str) -> None:
    assert roles(ids_of(tokens), CONTROL, inside=False).tolist() == roles_of(expected)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("b/n:c>xx", "VDKKVD.."),  # starts inside a line: unclear, so a value
        ("t:b>xx", "VVVD.."),  # starts at a line, which the ids do not say
        (">xx", "D.."),
        ("xx$b>", ".....D"[:3] + ".D"),  # a document ended before: text
        ("xx<t:a>", "..DKKVD"),
        ("t:a/n:b", "......."),  # no event at all: text
    ],
)
def test_roles_infer_a_range_that_starts_inside_an_annotation(tokens: str, expected: str) -> None:
    assert roles(ids_of(tokens), CONTROL).tolist() == roles_of(expected)


def test_roles_inside_is_said() -> None:
    assert roles(ids_of("t:a/n:b"), CONTROL, inside=True).tolist() == roles_of("VVVVVVV")
    assert roles(ids_of("a/n:b>t"), CONTROL, inside=True).tolist() == roles_of("VDKKVD.")


def test_rows_do_not_see_each_other() -> None:
    rows = np.array([ids_of("x<t:a/"), ids_of("n:b>xx"), ids_of("<n:b>x")])
    expected = [roles_of(picture) for picture in (".DVVVV", "VVVD..", "DKKVD.")]
    assert roles(rows, CONTROL).tolist() == expected


def reference_roles(ids: list[int], inside: bool | None) -> list[int]:
    """The definition, token by token."""
    if inside is None:
        events = [token for token in ids if token in (1, 2, 5)]
        inside = bool(events) and events[0] == 2
    out = [TEXT] * len(ids)
    at = 0
    unclear_line = inside
    while at < len(ids):
        if not inside:
            if ids[at] in (1, 2):
                out[at] = DELIMITER
            inside, unclear_line = ids[at] == 1, False
            at += 1
            continue
        end = next((k for k in range(at, len(ids)) if ids[k] in (1, 2, 5)), len(ids))
        if end == len(ids) or ids[end] != 2:
            out[at:end] = [VALUE] * (end - at)
        else:
            line_start = at
            for k in range(at, end + 1):
                if k < end and ids[k] != 4:
                    continue
                line = ids[line_start:k]
                key = line.index(3) + 1 if 3 in line and not unclear_line else 0
                out[line_start:k] = [KEY] * key + [VALUE] * (len(line) - key)
                unclear_line = False
                if k < end:
                    out[k] = DELIMITER
                line_start = k + 1
        at, inside = end, False
    return out


@settings(max_examples=600)
@given(
    st.lists(st.sampled_from(ids_of("<>:/$ab")), max_size=24),
    st.sampled_from([None, True, False]),
)
@example(ids_of("a>b<t:c>$"), None)
def test_roles_equal_the_definition(ids: list[int], inside: bool | None) -> None:
    assert roles(ids, CONTROL, inside=inside).tolist() == reference_roles(ids, inside)


@given(
    st.integers(1, 9).flatmap(
        lambda n: st.lists(
            st.lists(st.sampled_from(ids_of("<>:/$ab")), min_size=n, max_size=n),
            min_size=1,
            max_size=5,
        )
    )
)
def test_roles_of_rows_are_the_roles_of_each_row(rows: list[list[int]]) -> None:
    expected = [reference_roles(row, None) for row in rows]
    assert roles(np.array(rows), CONTROL).tolist() == expected
    events = Events.find(np.array(rows), CONTROL)
    assert events.annotated().tolist() == [role != TEXT for row in expected for role in row]


def test_the_events_of_rows() -> None:
    #                      0123456     7890123
    rows = np.array([ids_of("b>x<t:a"), ids_of(">$x<a>x")])
    events = Events.find(rows, CONTROL)
    assert events.at.tolist() == [0, 1, 3, 7, 8, 10, 12]
    assert events.lengths.tolist() == [1, 2, 4, 1, 2, 2, 2]
    assert bits(events.opens) == "0010010"
    assert bits(events.closes) == "0101001"
    assert bits(events.ends) == "0000100"
    assert bits(events.leads) == "1000000"
    assert bits(events.closed) == "1000010"  # not the one that its row leaves open
    assert bits(events.starts_inside) == "11"
    assert bits(events.annotated()) == "11011111001110"
    assert bits(Events.find(rows, CONTROL, inside=False).starts_inside) == "00"


def test_document_bounds() -> None:
    assert document_bounds(np.array(ids_of("ab$c$")), 5).tolist() == [0, 3, 5]
    assert document_bounds(np.array(ids_of("ab$c")), 5).tolist() == [0, 3, 4]
    assert document_bounds(np.array(ids_of("$$")), 5).tolist() == [0, 1, 2]
    assert document_bounds(np.array([], np.uint16), 5).tolist() == [0]


def bits(mask: np.ndarray) -> str:
    return "".join(str(int(bit)) for bit in mask)


def bools(picture: str) -> np.ndarray:
    return np.array([char == "1" for char in picture], bool)


def test_trained_runs() -> None:
    assert trained_runs(bools("0110100111")).tolist() == [[1, 3], [4, 5], [7, 10]]
    assert trained_runs(bools("000")).tolist() == []
    assert trained_runs(bools("")).tolist() == []


def test_final_run_mask() -> None:
    #             |first    |second|none|a run that touches the next document
    mask = bools("0110011011000000111001")
    kept = bools("0000011011000000110001")
    bounds = np.array([0, 7, 11, 14, 18, 22])
    assert final_run_mask(mask, bounds).tolist() == kept.tolist()


def test_a_final_run_without_an_annotation_is_dropped() -> None:
    bounds = np.array([0, 4, 8, 8, 12, 14])
    mask = np.array([0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0], bool)
    # Before the first run of the first document, before the second document's only run, inside the
    # run of the fourth, and before nothing that is trained.
    kept = final_run_mask(mask, bounds, annotated=np.array([1, 4, 10, 12])).astype(int)
    assert kept.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    none = final_run_mask(mask, bounds, annotated=np.zeros(0, np.int64))
    assert not none.any()


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=8), min_size=1, max_size=6))
def test_final_run_mask_equals_its_definition(documents: list[list[bool]]) -> None:
    expected: list[bool] = []
    for document in documents:
        runs = trained_runs(document).tolist()
        keep = [False] * len(document)
        if runs:
            start, end = runs[-1]
            keep[start:end] = [True] * (end - start)
        expected += keep
    bounds = np.cumsum([0, *map(len, documents)])
    mask = np.array([token for document in documents for token in document])
    assert final_run_mask(mask, bounds).tolist() == expected


# --- chunks --------------------------------------------------------------------------------------


def expected_starts(pieces: list[bytes]) -> list[int]:
    """The definition on the text: each break moves to the first token boundary behind it."""
    text = b"".join(pieces)
    boundaries = np.cumsum([0, *map(len, pieces)])
    breaks = [found.end() for found in re.finditer(rb"\n\n+", text)]
    starts = {0} | {int(np.searchsorted(boundaries, end)) for end in breaks}
    return sorted(start for start in starts if start < len(pieces))


TOKENS = [b"a", b"b\n", b"\n", b"\n\n", b"\n\n\n", b" ", b".\n\n", b"\n\n    \n", b"\n  \n", b"\nx"]


@settings(max_examples=500)
@given(st.lists(st.integers(0, len(TOKENS) - 1), min_size=1, max_size=16))
@example([0, 7, 2, 0])
@example([1, 2, 0])
def test_chunks_are_those_of_the_text(ids: list[int]) -> None:
    table = NewlineTable.from_bytes(TOKENS)
    found = chunk_starts(np.array(ids), table).tolist()
    assert found == expected_starts([TOKENS[token] for token in ids])


def test_chunks_by_hand() -> None:
    table = NewlineTable.from_bytes(TOKENS)
    #              a  \n\n  a  b\n  \n  a  \n  a   then a run at the very end
    ids = np.array([0, 3, 0, 1, 2, 0, 2, 0, 3, 2])
    assert chunk_starts(ids, table).tolist() == [0, 2, 5]
    assert chunk_starts(ids[:0], table).tolist() == []


def test_short_chunks_join_the_next() -> None:
    table = NewlineTable.from_bytes(TOKENS)
    ids = np.array([0, 3, 0, 0, 0, 3, 0, 3, 0, 0, 0, 3, 0])
    assert chunk_starts(ids, table).tolist() == [0, 2, 6, 8, 12]
    assert chunk_starts(ids, table, min_tokens=4).tolist() == [0, 6]


@pytest.fixture(scope="module")
def dolma2_bytes(dolma2: AnchorTokenizer) -> list[bytes]:
    return dolma2.token_bytes()


@settings(max_examples=300, deadline=None)
@given(text=st.lists(st.sampled_from(["\n", "\n\n", " ", "    ", "\t", "a", "B.", "é", "。"])))
def test_chunks_on_random_white_space_with_dolma2(
    dolma2: AnchorTokenizer, dolma2_bytes: list[bytes], text: list[str]
) -> None:
    ids = np.array(dolma2.encode("x" + "".join(text)))
    pieces = [dolma2_bytes[token] for token in ids]
    assert b"".join(pieces).decode() == "x" + "".join(text)
    assert chunk_starts(ids, dolma2.newlines).tolist() == expected_starts(pieces)


def test_the_one_dolma2_token_that_goes_on_past_the_break(
    dolma2: AnchorTokenizer, dolma2_bytes: list[bytes]
) -> None:
    going_on = np.flatnonzero(dolma2.newlines.inner_break)
    assert [dolma2_bytes[token] for token in going_on] == [b"\n\n    \n"]
    ids = np.array(dolma2.encode("a\n\n    \nb"))
    assert [dolma2_bytes[token] for token in ids] == [b"a", b"\n\n    \n", b"b"]
    assert chunk_starts(ids, dolma2.newlines).tolist() == [0, 2]


def test_chunks_on_real_prose_are_the_papers_split(
    dolma2: AnchorTokenizer, dolma2_bytes: list[bytes], shared_data: Path
) -> None:
    with (shared_data / "corpus" / "books.jsonl").open() as file:
        texts = [json.loads(next(file))["text"] for _ in range(12)]
    for text in texts:
        ids = np.array(dolma2.encode(text))
        pieces = [dolma2_bytes[token] for token in ids]
        starts = chunk_starts(ids, dolma2.newlines).tolist()
        ends = [*starts[1:], len(pieces)]
        chunks = [
            b"".join(pieces[start:end]).decode().strip("\n")
            for start, end in zip(starts, ends, strict=True)
        ]
        assert chunks == re.split(r"\n\n+", text.strip("\n"))
