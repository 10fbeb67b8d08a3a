"""Verdicts follow from the numbers and the stated rule, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from made_study import MAIN, arm, summary, write_seed

from olmo_anchor.study.findings.claims import Check, Claim, Weighed, weigh
from olmo_anchor.study.findings.collect import collect
from olmo_anchor.study.findings.findings import Findings
from olmo_anchor.study.findings.numbers import (
    area,
    arms,
    best,
    correlation,
    difference,
    level,
    log_of,
    slope,
)
from olmo_anchor.study.findings.sections import CLAIMS, SECTIONS

SFT, ANCHORED = "main/sft_standard", "main/sft_anchored"
TOPIC = "entropy.topic"


def found(tmp_path: Path, seeds: Sequence[Mapping[str, float]], **more: float) -> Findings:
    """Seeds of the four main arms with the topic entropies given."""
    for seed, topics in enumerate(seeds):
        numbers = {f"main/{name}": summary(value, **more) for name, value in topics.items()}
        write_seed(tmp_path, seed, MAIN, numbers)
    return collect(tmp_path)


def one(low: float, *, high: float = 99.0) -> Claim:
    test = Check("anchored - standard", difference(TOPIC, ANCHORED, SFT), low, high)
    return Claim("name", "It is so.", "", (test,))


def weighed(claim: Claim, findings: Findings) -> Weighed:
    (result,) = weigh([claim], findings)
    return result


# Differences 2.6, 2.7, 2.8: the interval is 2.7 +- 0.248414.
THREE = [
    {"sft_standard": 2.5, "sft_anchored": 5.1},
    {"sft_standard": 2.4, "sft_anchored": 5.1},
    {"sft_standard": 2.3, "sft_anchored": 5.1},
]


@pytest.mark.parametrize(
    ("low", "verdict"),
    [
        (0.0, "holds"),
        (2.45, "holds"),
        (2.46, "not decided at 3 seeds"),
        (2.94, "not decided at 3 seeds"),
        (2.95, "does not hold"),
    ],
)
def test_the_interval_decides_from_three_seeds_on(tmp_path: Path, low: float, verdict: str) -> None:
    result = weighed(one(low), found(tmp_path, THREE))
    assert result.told == verdict
    assert result.tests[0].number == "2.70 ± 0.25"


def test_two_seeds_decide_nothing_however_clear(tmp_path: Path) -> None:
    findings = found(tmp_path, THREE[:2])
    result = weighed(one(0.0), findings)
    assert result.verdict == "not decided"
    assert result.told == "not decided at 2 seeds"
    assert result.tests[0].told == "not decided at 2 seeds, so far as claimed"
    assert result.tests[0].number == "2.60, 2.70"
    assert weighed(one(2.65), findings).tests[0].told.endswith("so far both ways")
    assert weighed(one(4.0), findings).tests[0].told.endswith("so far otherwise")


def test_a_range_has_two_ends(tmp_path: Path) -> None:
    findings = found(tmp_path, THREE)
    assert weighed(one(2.4, high=3.0), findings).verdict == "holds"
    assert weighed(one(2.4, high=2.6), findings).verdict == "not decided"
    assert weighed(one(1.0, high=2.0), findings).verdict == "does not hold"


def test_a_claim_of_which_one_half_stands_holds_in_part(tmp_path: Path) -> None:
    findings = found(tmp_path, THREE)
    yes, no = one(0.0).tests[0], one(5.0).tests[0]
    absent = Check("KL", level("kl.topic", ANCHORED), low=0.0)

    def told(*tests: Check) -> str:
        return weighed(Claim("name", "It is so.", "", tests), findings).told

    assert told(yes, yes) == "holds"
    assert told(yes, no) == "holds in part"
    assert told(no, no) == "does not hold"
    assert told(yes, absent) == "not decided at 3 seeds"
    assert told(absent) == "not measured"


def test_seeds_are_compared_pair_by_pair(tmp_path: Path) -> None:
    """Seeds differ by two bits, the arms within each by 0.1: the difference is known well."""
    seeds = [{"sft_standard": 1.0 + 2 * n, "sft_anchored": 1.1 + 2 * n} for n in range(3)]
    assert weighed(one(0.05), found(tmp_path, seeds)).verdict == "holds"


def test_slopes_correlations_and_areas(tmp_path: Path) -> None:
    rates = {0.001: (4.0, 0.9), 0.002: (3.0, 0.8), 0.004: (2.0, 0.6)}
    group = [arm(f"lr/sft_standard_{rate}", "sft_standard", at={"lr": rate}) for rate in rates]
    numbers = {
        f"lr/sft_standard_{rate}": summary(topic, valid=valid)
        for rate, (topic, valid) in rates.items()
    }
    losses = {name: [loss] for name, loss in zip(numbers, (0.9, 0.5, 0.3), strict=True)}
    write_seed(tmp_path, 0, [*MAIN, *group], numbers, losses=losses)
    findings, chosen = collect(tmp_path), arms("lr")
    # one bit less with each doubling of the rate
    assert slope(TOPIC, chosen, log_of("lr"))(findings, 0) == pytest.approx(-1.0)
    # over e**.9, e**.5, e**.3
    assert correlation("perplexity", TOPIC, chosen)(findings, 0) == pytest.approx(
        0.966304, abs=1e-5
    )
    # (.9, 4) exceeds the other points in both: .9 x 4
    assert area(TOPIC, "valid", chosen)(findings, 0) == pytest.approx(3.6)
    like = "lr/sft_standard_0.002"
    assert best(TOPIC, "valid", chosen, like)(findings, 0) == 4.0
    assert best(TOPIC, "valid", arms("lr/sft_standard_0.004"), like)(findings, 0) == 0.0


def test_a_slope_waits_for_all_arms_of_its_group(tmp_path: Path) -> None:
    group = [
        arm(f"lr/sft_standard_{n}", "sft_standard", at={"lr": rate})
        for n, rate in enumerate((0.001, 0.002, 0.004, 0.008))
    ]
    numbers = {one["name"]: summary(3.0) for one in group[:3]}
    write_seed(tmp_path, 0, [*MAIN, *group], numbers)
    assert slope(TOPIC, arms("lr"), log_of("lr"))(collect(tmp_path), 0) is None


def test_the_papers_main_claims_are_decided_by_the_arms(tmp_path: Path) -> None:
    seeds = [
        {"base_standard": 5.5, "sft_standard": 2.5 + n / 100, "sft_anchored": 5.2} for n in range(3)
    ]
    findings = found(tmp_path, seeds)
    assert weighed(CLAIMS["collapse"], findings).told == "holds"
    gap = weighed(CLAIMS["gap"], findings)
    # .9, (5.2 - 2.51) / 2.99, ...; of four attributes the other three are equal: the same share
    assert [test.told for test in gap.tests] == ["holds", "holds"]
    assert weighed(CLAIMS["tasks"], findings).told == "holds"
    assert weighed(CLAIMS["scale"], findings).told == "not measured"


def test_a_contrary_world_gives_contrary_verdicts(tmp_path: Path) -> None:
    seeds = [
        {"base_standard": 2.5 + n / 100, "sft_standard": 5.5, "sft_anchored": 2.0} for n in range(3)
    ]
    findings = found(tmp_path, seeds)
    assert weighed(CLAIMS["collapse"], findings).told == "does not hold"


def test_every_claim_stands_in_one_section() -> None:
    named = [name for section in SECTIONS for name in section.claims]
    assert sorted(named) == sorted(CLAIMS)
