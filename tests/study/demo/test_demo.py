"""The demo keeps what it made, and only for what it was made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from olmo_anchor.errors import InputError
from olmo_anchor.study.demo.demo import DemoConfig


def test_a_folder_of_a_demo_on_something_else_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "seed-0"
    corpus, sft = tmp_path / "corpus.jsonl", tmp_path / "sft.jsonl"
    corpus.write_text("one")
    sft.write_text("two")
    own = DemoConfig(tmp_path, corpus=corpus, sft=sft)
    own._claim(root)
    own._claim(root)
    for other, named in (
        (DemoConfig(tmp_path), "files: corpus"),
        (DemoConfig(tmp_path, engine="vllm", corpus=corpus, sft=sft), "another engine;"),
    ):
        with pytest.raises(InputError, match=named):
            other._claim(root)
    corpus.rename(tmp_path / "moved.jsonl")
    own = DemoConfig(tmp_path, corpus=tmp_path / "moved.jsonl", sft=sft)
    own._claim(root)
    own.corpus.write_text("three")
    with pytest.raises(InputError, match="another files: corpus;"):
        own._claim(root)


def test_a_folder_made_with_another_recipe_or_version_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "seed-0"
    demo = DemoConfig(tmp_path)
    demo._claim(root)
    path = root / "settings.json"
    settings = json.loads(path.read_text())
    settings["recipes"]["story_sft_anchored.py"] = "0" * 64
    settings["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(settings))
    with pytest.raises(
        InputError, match=r"another recipes: story_sft_anchored\.py, versions: torch; name another"
    ):
        demo._claim(root)
    assert json.loads(path.read_text()) == settings
