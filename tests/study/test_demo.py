"""The demo keeps what it made, and only for what it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmo_anchor.errors import InputError
from olmo_anchor.study.demo import DemoConfig


def test_a_folder_of_a_demo_on_something_else_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "seed-0"
    corpus, sft = tmp_path / "corpus.jsonl", tmp_path / "sft.jsonl"
    corpus.write_text("one")
    sft.write_text("two")
    own = DemoConfig(tmp_path, corpus=corpus, sft=sft)
    own._claim(root)
    own._claim(root)
    for other in (
        DemoConfig(tmp_path),
        DemoConfig(tmp_path, engine="vllm", corpus=corpus, sft=sft),
    ):
        with pytest.raises(InputError, match="a demo on other files or settings"):
            other._claim(root)
    corpus.write_text("three")
    with pytest.raises(InputError, match="a demo on other files or settings"):
        own._claim(root)
