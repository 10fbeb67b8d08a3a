"""How long the stages that are left may take."""

from __future__ import annotations

from pathlib import Path

from olmo_anchor.study.grid.costs import estimate
from olmo_anchor.study.pipeline.stage import Stage
from olmo_anchor.study.pipeline.times import read_times


def test_a_stage_is_expected_to_take_what_it_took_or_what_its_kind_takes(tmp_path: Path) -> None:
    def stage(name: str, cost: float = 1.0) -> Stage:
        return Stage(name, ("true",), tmp_path / name, cost=cost)

    stages = [stage("runs/a"), stage("runs/b", 2.0), stage("runs/c", 3.0), stage("models/a")]
    (tmp_path / "times.json").write_text(
        '{"seconds": 1, "stages": [{"name": "runs/a", "seconds": 10}, '
        '{"name": "runs/b", "seconds": 24}, {"name": "gone", "seconds": 1}]}'
    )
    expected = estimate(read_times([tmp_path, tmp_path / "none"]), stages)
    # In times of their costs 10 and 12 seconds: 11 for the kind.
    assert [expected(one) for one in stages] == [10, 24, 33, 6]
