"""The demo on a user's own files."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from olmo_anchor.errors import InputError
from olmo_anchor.study.corpus import REQUESTS, keywords, own_files, write_requests
from olmo_anchor.study.demo import DemoConfig
from olmo_anchor.study.stages import comparison


def conversations(path: Path, count: int) -> Path:
    def line(i: int) -> bytes:
        turns = [{"role": "user", "content": f"Ask {i}?"}, {"role": "assistant", "content": "Yes."}]
        return orjson.dumps({"id": f"c{i}", "messages": turns})

    path.write_bytes(b"\n".join([b"not json", *map(line, range(count)), line(0)]))
    return path


def test_requests_are_the_first_user_turns_each_once(tmp_path: Path) -> None:
    base, chat = write_requests(tmp_path, conversations(tmp_path / "sft.jsonl", 3))
    raw = [orjson.loads(line) for line in base.read_bytes().splitlines()]
    assert [record["prompt"] for record in raw] == ["Ask 0?\n\n", "Ask 1?\n\n", "Ask 2?\n\n"]
    turns = [orjson.loads(line)["messages"] for line in chat.read_bytes().splitlines()]
    assert turns[1] == [{"role": "user", "content": "Ask 1?"}]


def test_not_more_requests_than_needed(tmp_path: Path) -> None:
    base, _ = write_requests(tmp_path, conversations(tmp_path / "sft.jsonl", REQUESTS + 5))
    assert len(base.read_bytes().splitlines()) == REQUESTS


def test_a_file_without_a_conversation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sft.jsonl"
    path.write_text('{"text": "a document"}\n')
    with pytest.raises(InputError, match="no conversation"):
        write_requests(tmp_path, path)


def test_missing_files_are_named_before_anything_runs(tmp_path: Path) -> None:
    sft = conversations(tmp_path / "sft.jsonl", 3)
    with pytest.raises(InputError, match="no-such"):
        own_files(tmp_path / "out", tmp_path / "no-such", sft, "tokenizer.json")
    with pytest.raises(InputError, match="belong together"):
        DemoConfig(tmp_path / "out", sft=sft).run()
    assert not (tmp_path / "out").exists()


def test_the_same_stages_with_other_files(tmp_path: Path) -> None:
    sft = conversations(tmp_path / "sft.jsonl", 3)
    material = own_files(tmp_path, sft, sft, "tokenizer.json")
    stages = {stage.name: stage.argv for stage in comparison(tmp_path, 0, material)}
    assert "world" not in stages
    assert "keyword" in stages["annotations"]
    assert any(word.endswith("small_sft_anchored.py") for word in stages["sft_anchored"])


def test_an_answer_is_labelled_by_its_keyphrase() -> None:
    pytest.importorskip("yake")
    found = keywords(
        "The lighthouse keeper climbed the lighthouse stairs. The lighthouse lamp was out, and the "
        "keeper was wonderfully happy to light the lamp again."
    )
    assert found.valid
    assert found.labels["language"] == "English"
    assert "lighthouse" in (found.labels["topic"] or "").lower()
    nothing = keywords("")
    assert (nothing.valid, nothing.reasons) == (False, {"valid": "no keyphrase"})
