"""The study's own grid has all arms that claims and figures speak of."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_study import arm, summary, write_seed

from olmo_anchor.study.findings.claims import weigh
from olmo_anchor.study.findings.collect import collect
from olmo_anchor.study.findings.figures import FIGURES
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.sections import CLAIMS, SECTIONS
from olmo_anchor.study.findings.tables import arms_of
from olmo_anchor.study.grid.read import read_grid

REPOSITORY = Path(__file__).parents[3]
TOPICS = {"topics_14": 3.807355, "topics_48": 5.584963}
PERSONAS = {"personas_8": 3.0, "personas_12": 3.584963, "personas_23": 4.523562}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """All arms of the grid, every one measured. The standard base is far above the others."""
    grid = read_grid(REPOSITORY / "train_configs" / "study.yaml")
    arms, numbers, losses = [], {}, {}
    for place, (name, one) in enumerate(grid.arms.items()):
        data = {
            "topic": TOPICS.get(str(one.data), 2.321928),
            "persona": PERSONAS.get(str(one.data), 0.0),
        }
        arms.append(
            arm(
                name,
                one.method,
                base=one.base,
                annotations=one.annotations,
                at=dict(one.at),
                data_entropy_bits=data if one.data else None,
                size=one.size or "s",
                of=one.of,
                eps=float(one.set.get("train_module.optim.eps", 1e-4)),
            )
        )
        share = 0.5 + place / 1000
        numbers[name] = summary(
            5.5 if name == "main/base_standard" else 3.0 + place / 100,
            kl=0.02,
            valid=share,
            style=share,
            outside=share,
            copied={"topic_outside": 0.9, "name": 0.95},
        )
        numbers[name]["annotation_kl_bits"] = {"open": {"value": 0.1}, "topic_outside": 0.2}
        losses[name] = [0.5 + place / 1000]
    out = tmp_path_factory.mktemp("study")
    write_seed(out, 0, arms, numbers, losses=losses)
    return collect(out)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_test_of_a_claim_has_its_arms(name: str, findings: Findings) -> None:
    (weighed,) = weigh([CLAIMS[name]], findings)
    absent = [one.test.says for one in weighed.tests if one.found is None]
    assert absent == []


def test_every_arm_of_the_grid_stands_in_a_section(findings: Findings) -> None:
    shown = {one.name for section in SECTIONS for one in arms_of(section, findings)}
    assert shown == set(findings.arms)


@pytest.mark.parametrize(
    ("figure", "panels"),
    [
        ("main", [5]),
        ("sizes", [4, 4]),
        ("mask", [6, 6]),
        ("skip", [5, 5]),
        ("topics", [2]),
        ("personas", [3, 3]),
        ("sft_examples", [2]),
        ("held_out", [2, 2]),
        ("temperature", [4]),
        ("baselines", [6, 6, 6]),
        ("noise", [5, 5]),
        ("value_only", [1, 1]),
        ("eps", [5, 2]),
    ],
)
def test_every_figure_has_its_lines(figure: str, panels: list[int], findings: Findings) -> None:
    assert [len(panel.lines) for panel in FIGURES[figure](findings).panels] == panels
