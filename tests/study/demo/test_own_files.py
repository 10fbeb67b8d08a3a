"""The demo on a user's own files."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from olmo_anchor.errors import InputError
from olmo_anchor.study.demo.demo import DemoConfig
from olmo_anchor.study.demo.own_files import HELD_OUT, own_files, split_conversations
from olmo_anchor.study.demo.stages import comparison

ENOUGH = 10 * HELD_OUT


def conversations(path: Path, count: int) -> Path:
    def line(i: int) -> bytes:
        turns = [{"role": "user", "content": f"Ask {i}?"}, {"role": "assistant", "content": "Yes."}]
        return orjson.dumps({"id": f"c{i}", "messages": turns})

    path.write_bytes(b"\n".join([b"not json", *map(line, range(count)), line(0)]))
    return path


def test_what_is_asked_is_held_out_of_training(tmp_path: Path) -> None:
    left, base, chat = split_conversations(tmp_path, conversations(tmp_path / "s.jsonl", ENOUGH))
    raw = [orjson.loads(line)["prompt"] for line in base.read_bytes().splitlines()]
    turns = [orjson.loads(line)["messages"] for line in chat.read_bytes().splitlines()]
    assert len(set(raw)) == HELD_OUT
    assert [f"{messages[0]['content']}\n\n" for messages in turns] == raw
    bad, *lines = left.read_bytes().splitlines()
    assert bad == b"not json"
    trained = {orjson.loads(line)["messages"][0]["content"] for line in lines}
    assert len(trained) == ENOUGH - HELD_OUT
    assert not trained & {prompt.strip() for prompt in raw}


def test_the_choice_does_not_depend_on_the_order(tmp_path: Path) -> None:
    path = conversations(tmp_path / "s.jsonl", ENOUGH)
    first = split_conversations(tmp_path / "a", path)[1].read_text()
    path.write_bytes(b"\n".join(reversed(path.read_bytes().splitlines())))
    second = split_conversations(tmp_path / "b", path)[1].read_text()

    def prompts(text: str) -> set[str]:
        return {orjson.loads(line)["prompt"] for line in text.splitlines()}

    assert prompts(first) == prompts(second)


def test_too_few_conversations_are_refused(tmp_path: Path) -> None:
    path = conversations(tmp_path / "sft.jsonl", ENOUGH - 1)
    with pytest.raises(InputError, match=f"at least {ENOUGH}"):
        split_conversations(tmp_path, path)


def test_missing_files_are_named_before_anything_runs(tmp_path: Path) -> None:
    sft = conversations(tmp_path / "sft.jsonl", ENOUGH)
    with pytest.raises(InputError, match="no-such"):
        own_files(tmp_path / "out", tmp_path / "no-such", sft, "tokenizer.json")
    with pytest.raises(InputError, match="belong together"):
        DemoConfig(tmp_path / "out", sft=sft).run()
    assert not (tmp_path / "out").exists()


def test_the_same_stages_with_other_files(tmp_path: Path) -> None:
    sft = conversations(tmp_path / "sft.jsonl", ENOUGH)
    material = own_files(tmp_path, sft, sft, "tokenizer.json")
    stages = {stage.name: stage.argv for stage in comparison(tmp_path, 0, material)}
    assert "world" not in stages
    assert "keyword" in stages["annotations"]
    assert str(tmp_path / "sft_conversations.jsonl") in stages["sft_tokens"]
    assert any(word.endswith("small_sft_anchored.py") for word in stages["sft_anchored"])
