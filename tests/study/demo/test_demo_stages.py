"""What the demo runs."""

from __future__ import annotations

from pathlib import Path

from olmo_anchor.study.demo.stages import ARMS, comparison, story_world
from olmo_anchor.study.pipeline.pipeline import Pipeline


def test_the_arms_of_the_demo_are_matched(tmp_path: Path) -> None:
    stages = {one.name: one for one in comparison(tmp_path, 3, story_world(tmp_path, 3))}
    assert set(ARMS) <= set(stages)

    def data(arm: str) -> list[str]:
        argv = list(stages[arm].argv)
        return [argv[argv.index(option) + 1] for option in ("--tokens", "--overlay")]

    assert data("base_standard") == data("base_annotated")
    assert data("sft_standard") == data("sft_anchored")
    assert "base_annotated" in stages["sft_anchored"].needs
    assert "base_standard" in stages["sft_standard"].needs
    Pipeline(list(stages.values()), tmp_path / "logs")
