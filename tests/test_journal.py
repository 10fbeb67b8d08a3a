"""Journals keep whole records, whatever happens to the process that writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.journal import Journal, Rejects, check_rejected, default_share, rejected_line


@given(st.integers(0, 200))
def test_a_torn_tail_is_cut_off_and_writing_goes_on(
    tmp_path_factory: pytest.TempPathFactory, torn_at: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    records = [{"n": n, "text": "é\n" * n} for n in range(6)]
    with Journal(path) as journal:
        journal.extend(list(records))
    whole = path.read_bytes()
    path.write_bytes(whole[:torn_at])
    kept = whole[:torn_at].count(b"\n")
    with Journal(path) as journal:
        assert list(journal.records()) == records[:kept]
        journal.append({"n": "new"})
        assert list(journal.records()) == [*records[:kept], {"n": "new"}]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"a":1}\nnonsense\n')
    with Journal(path) as journal, pytest.raises(InputError, match=r"j\.jsonl:2: not JSON"):
        list(journal.records())


def test_rejects_are_written_counted_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    rejects = Rejects(path)
    assert not path.exists()
    rejects.add("empty text", file="a.jsonl", line=3)
    rejects.add("empty text", file="a.jsonl", line=5)
    rejects.close()
    assert Rejects(path).reasons == {"empty text": 2}
    assert path.read_bytes().splitlines()[0] == (
        b'{"reason":"empty text","file":"a.jsonl","line":3}'
    )


def test_too_many_rejects_fail_the_work_with_the_reason(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path / "rejected.jsonl")
    rejects.add("empty text", line=3)
    check_rejected(rejects, 100, 0.01)
    with pytest.raises(WorkFailed, match=r"1 of 99 .* 1\.0%.*empty text") as caught:
        check_rejected(rejects, 99, 0.01)
    assert f"See {tmp_path}/rejected.jsonl" in str(caught.value)
    assert str(caught.value).endswith("let them go with --resume --max-rejected 0.02")


def test_rejects_are_told_in_one_line(tmp_path: Path) -> None:
    assert rejected_line({}, 40, tmp_path / "r.jsonl") == "rejected: none of 40 records"
    assert rejected_line({"too long": 2, "empty text": 1198}, 50_000, tmp_path / "r.jsonl") == (
        f"rejected: 1,200 of 50,000 records (2.4%), most often (1,198): empty text; "
        f"see {tmp_path}/r.jsonl"
    )
    assert rejected_line({"a": 1}, 50_000, Path("r")).startswith(
        "rejected: 1 of 50,000 records (<0"
    )
    assert "(100.0%), most often (1): empty text; see r" in rejected_line(
        {"empty text": 1}, 1, Path("r")
    )


@pytest.mark.parametrize(
    ("total", "allowed"), [(0, 0), (1, 0), (2, 1), (3, 1), (20, 10), (1000, 10), (5000, 50)]
)
def test_small_files_do_not_fail_over_a_few_records(total: int, allowed: int) -> None:
    assert int(default_share(total) * total) == allowed


def test_one_bad_record_of_twenty_goes_through(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path / "rejected.jsonl")
    rejects.add("empty text", line=3)
    check_rejected(rejects, 20)
    with pytest.raises(WorkFailed, match=r"1 of 1 .* 50\.0%"):
        check_rejected(rejects, 1)
