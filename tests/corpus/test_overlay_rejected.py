"""Every reason to reject a record, and that it costs no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.errors import WorkFailed
from tests.corpus.conftest import GOOD, rejected, run_overlay


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**GOOD, "chunk": 2}, "there is no such chunk"),
        ({**GOOD, "doc": 3}, "there is no such document"),
        ({**GOOD, "part": 1}, "there is no such part"),
        (GOOD, "a second record for its chunk"),
        ({**GOOD, "chunk": 1, "tags": [["topic", "a\nb"]]}, "the value has more than one line"),
        ({**GOOD, "chunk": 1, "tags": [["mood", "low"]]}, "'mood' is not in the schema"),
        ({**GOOD, "chunk": 1, "tags": [["topic", "x" * 81]]}, "has 81 characters"),
        ({**GOOD, "chunk": 1, "tags": [["topic", "\ud800"]]}, "not JSON"),
        ({**GOOD, "chunk": 1, "tags": [["topic"]]}, "not a pair of strings"),
        ({**GOOD, "chunk": 1, "tags": None}, "no list of tags"),
        ({**GOOD, "chunk": 1, "id": "doc-0-1"}, "its id is not that of the document"),
        ({**GOOD, "chunk": True}, "not all whole numbers"),
        ({"tags": [["topic", "cat"]]}, "not all whole numbers"),
        (
            {**GOOD, "chunk": 1, "tags": [["topic", " ".join("abcdefgh" * 4)]] * 8},
            "longer than 256 tokens",
        ),
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
    ],
)
def test_a_bad_record_is_rejected_with_its_reason_and_the_rest_is_kept(
    write_tokens: Any,
    write_annotations: Any,
    docs: Any,
    tmp_path: Path,
    record: Any,
    reason: str,
) -> None:
    last = {"part": 0, "doc": 2, "chunk": 0, "tags": [["topic", "ran"]]}
    records = [GOOD, record, last]
    if isinstance(record, dict) and record.get("tags") == [["topic", "\ud800"]]:
        records[1] = b'{"part":0,"doc":0,"chunk":1,"tags":[["topic","\\ud800"]]}'
    out = tmp_path / "overlay"
    manifest = run_overlay(write_tokens([docs]), write_annotations(records), out, max_rejected=0.5)
    assert manifest.counts["annotations"] == 2
    assert manifest.counts["rejected"] == 1
    (entry,) = rejected(out)
    assert reason in entry["reason"]
    assert entry["line"] == records.index(record if record in records else records[1], 1) + 1


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ({"part": 9}, "there is no such part"),
        ({"part": 0, "doc": 3}, "there is no such document"),
        ({"part": 1, "doc": 99}, "there is no such document"),
        ({"part": 0, "doc": 0, "chunk": 2}, "there is no such chunk"),
        ({"part": 0, "doc": 0, "chunk": 0, "tags": [["mood", "low"]]}, "not in the schema"),
    ],
)
def test_a_record_without_a_place_costs_no_record_after_it(
    write_tokens: Any,
    write_annotations: Any,
    docs: Any,
    tmp_path: Path,
    place: dict[str, Any],
    reason: str,
) -> None:
    good = [{**GOOD, "doc": d, "chunk": c} for d, c in ((0, 0), (0, 1), (2, 1))]
    good += [{**record, "part": 1} for record in good]
    out = tmp_path / "overlay"
    tokens = write_tokens([docs, docs])
    manifest = run_overlay(
        tokens, write_annotations([{**GOOD, **place}, *good]), out, max_rejected=1
    )
    assert manifest.counts["annotations"] == 6
    assert [(entry["line"], reason in entry["reason"]) for entry in rejected(out)] == [(1, True)]


def test_of_two_records_for_a_chunk_the_first_that_is_good_stands(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    records = [{**GOOD, "id": "another"}, GOOD, {**GOOD, "chunk": 7}, GOOD, {**GOOD, "chunk": 1}]
    records += [GOOD, {**GOOD, "chunk": 1}]
    out = tmp_path / "overlay"
    manifest = run_overlay(write_tokens([docs]), write_annotations(records), out, max_rejected=1)
    assert manifest.counts["annotations"] == 2
    assert {entry["line"]: entry["reason"].split(":")[0] for entry in rejected(out)} == {
        1: "its id is not that of the document at its place",
        3: "there is no such chunk",
        4: "a second record for its chunk",
        6: "out of order",
        7: "a second record for its chunk",
    }


def test_records_out_of_order_are_rejected(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    records = [{**GOOD, "doc": 2}, GOOD]
    out = tmp_path / "overlay"
    run_overlay(write_tokens([docs]), write_annotations(records), out, max_rejected=0.5)
    assert "out of order" in rejected(out)[0]["reason"]


def test_too_many_rejected_records_fail_the_work(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    annotations = write_annotations([GOOD, GOOD, GOOD])
    with pytest.raises(WorkFailed, match=r"2 of 3 records .* were rejected.*second record"):
        run_overlay(write_tokens([docs]), annotations, tmp_path / "overlay")
    assert not (tmp_path / "overlay/manifest.json").exists()
