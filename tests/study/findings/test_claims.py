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
    # over .9, .5, .3: .6 / sqrt(2 x .186667)
    assert correlation("loss", TOPIC, chosen)(findings, 0) == pytest.approx(0.981981, abs=1e-5)
    # (.9, 4) exceeds the other points in both: .9 x 4
    assert area(TOPIC, "valid", chosen)(findings, 0) == pytest.approx(3.6)
    like = "lr/sft_standard_0.002"
    assert best(TOPIC, chosen, like, {"valid": 0.0})(findings, 0) == 4.0
    low = arms("lr/sft_standard_0.004")
    assert best(TOPIC, low, like, {"valid": 0.0})(findings, 0) == 0.0
    assert best(TOPIC, low, like, {"valid": 0.21})(findings, 0) == 2.0


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
    # .9, (5.2 - 2.51) / 2.99, ...; there is no arm whose persona is annotated
    assert [test.told for test in gap.tests] == ["holds", "not measured"]
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


def told(name: str, findings: Findings) -> list[str]:
    return [test.told for test in weighed(CLAIMS[name], findings).tests]


def test_an_entropy_of_few_answers_is_none(tmp_path: Path) -> None:
    """99 valid answers are too few; skipping is then told by what is valid, not by entropy."""
    group = [
        arm(f"skip/sft_anchored_{way}", "sft_anchored", base="annotated", of=ANCHORED)
        for way in ("skip", "empty")
    ]
    for seed in range(3):
        numbers = {
            SFT: summary(2.5),
            ANCHORED: summary(5.2, valid=0.95, n=570),
            "skip/sft_anchored_skip": summary(3.6, valid=0.01 * seed, n=99),
            "skip/sft_anchored_empty": summary(5.0, valid=0.02 * seed, n=100),
        }
        write_seed(tmp_path, seed, [*MAIN, *group], numbers)
    findings = collect(tmp_path)
    assert findings.of("skip/sft_anchored_skip", TOPIC) is None
    assert findings.why_not("skip/sft_anchored_skip", TOPIC, 0) == "n 99"
    assert findings.of("skip/sft_anchored_skip", "entropy.mean") is None
    assert findings.at("skip/sft_anchored_skip", "n") == {0: 99.0, 1: 99.0, 2: 99.0}
    assert findings.at("skip/sft_anchored_empty", TOPIC) == {0: 5.0, 1: 5.0, 2: 5.0}
    assert told("sampling_needed", findings)[:2] == ["holds", "holds"]
    assert told("sampling_needed", findings)[2] == "not measured"


def test_an_arm_that_stays_the_base_beats_nothing(tmp_path: Path) -> None:
    """It is as valid and more diverse, but unstyled: no baseline, and no gap that it closed."""
    group = [
        arm("regularized/sft_kl_1", "sft_kl", at={"weight": 1}),
        arm("regularized/sft_kl_0.1", "sft_kl", at={"weight": 0.1}),
    ]
    numbers = {
        "main/base_standard": summary(5.58),
        SFT: summary(2.5),
        ANCHORED: summary(5.2),
        "regularized/sft_kl_1": summary(5.57, style=0.02),
        "regularized/sft_kl_0.1": summary(3.0, style=0.86, valid=0.91, outside=0.71),
    }
    write_seed(tmp_path, 0, [*MAIN, *group], numbers)
    findings = collect(tmp_path)
    test = weighed(CLAIMS["baselines"], findings).tests[0]
    assert test.found is not None
    assert test.found.value == pytest.approx(2.2)
    assert findings.of("regularized/sft_kl_1", "gap.topic") is None
    assert findings.why_not("regularized/sft_kl_1", "gap.topic", 0) == "style 0.02"
    # (3.0 - 2.5) / (5.58 - 2.5)
    assert findings.at("regularized/sft_kl_0.1", "gap.topic") == {0: 0.16234}


def test_a_mask_on_a_base_without_annotations(tmp_path: Path) -> None:
    other = arm("mask/standard_base_anchored", "sft_anchored")
    for seed in range(3):
        numbers = {
            ANCHORED: summary(5.2, style=0.98),
            other["name"]: summary(5.5, style=0.02, no_annotation=1.0, kl=8.0),
        }
        write_seed(tmp_path, seed, [*MAIN, other], numbers)
    findings = collect(tmp_path)
    assert told("masked_on_standard", findings) == ["holds", "holds"]
    # A base that never saw a delimiter has no prior over annotations to move.
    assert findings.of(other["name"], "kl.topic") is None
    assert findings.why_not(other["name"], "kl.topic", 0) == "base without"


def test_what_the_base_lacked_is_no_effect_of_sft(tmp_path: Path) -> None:
    """Anchored follows .1 less than standard SFT, but its base did so, too."""
    for seed in range(3):
        numbers = {
            "main/base_standard": summary(5.5, outside=0.95),
            "main/base_annotated": summary(5.5, outside=0.8),
            SFT: summary(2.5, outside=0.9),
            ANCHORED: summary(5.2, outside=0.8),
        }
        write_seed(tmp_path, seed, MAIN, numbers)
    assert told("tasks", collect(tmp_path))[2:4] == ["does not hold", "holds"]


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ((0.01, 0.02, 0.03), "flat"),  # .02 +- .0248
        ((0.02, 0.06, 0.1), "not decided at 3 seeds"),  # .06 +- .0994
        ((0.06, 0.07, 0.08), "holds"),
        ((-0.07, -0.06, -0.08), "does not hold"),
    ],
)
def test_a_slope_of_nothing_is_flat(tmp_path: Path, slopes: Sequence[float], verdict: str) -> None:
    def at(findings: Findings, seed: int) -> float:
        return slopes[seed]

    claim = Claim("name", "It rises.", "", (Check("bits per doubling", at, low=0, flat=0.05),))
    assert weighed(claim, found(tmp_path, THREE)).told == verdict


def test_two_seeds_of_a_flat_slope_lean_to_neither_side(tmp_path: Path) -> None:
    claim = Claim(
        "name", "", "", (Check("", lambda f, seed: (0.04, -0.04)[seed], low=0, flat=0.05),)
    )
    result = weighed(claim, found(tmp_path, THREE[:2]))
    assert result.tests[0].told == "not decided at 2 seeds, so far flat"


def test_flat_and_falling_together_do_not_hold(tmp_path: Path) -> None:
    findings = found(tmp_path, THREE)

    def check(value: float) -> Check:
        return Check("a slope", lambda findings, seed: value, low=0, flat=0.05)

    def told_of(*values: float) -> str:
        return weighed(Claim("name", "", "", tuple(map(check, values))), findings).told

    assert told_of(0.0, 0.01) == "flat"
    assert told_of(0.0, -1.0) == "does not hold"
    assert told_of(0.0, 1.0) == "holds in part"


def test_equal_entropies_correlate_with_nothing(tmp_path: Path) -> None:
    """The anchored arms lie within .24 bits, the standard ones within .26."""
    group = [
        arm(f"lr/{kind}_{rate}", kind, at={"lr": rate}, base=base)
        for kind, base in (("sft_standard", "standard"), ("sft_anchored", "annotated"))
        for rate in (0.001, 0.004)
    ]
    topics = {
        SFT: 2.5,
        "lr/sft_standard_0.001": 2.65,
        "lr/sft_standard_0.004": 2.39,
        ANCHORED: 5.2,
        "lr/sft_anchored_0.001": 5.44,
        "lr/sft_anchored_0.004": 5.3,
    }
    names = list(topics)
    for seed in range(3):
        losses = {name: [0.3 + 0.1 * names.index(name)] for name in names}
        numbers = {name: summary(topic) for name, topic in topics.items()}
        write_seed(tmp_path, seed, [*MAIN, *group], numbers, losses=losses)
    findings = collect(tmp_path)
    assert told("likelihood_reversed", findings) == ["nothing to correlate"]
    assert weighed(CLAIMS["likelihood_reversed"], findings).told == "nothing to correlate"
    for seed in (1, 2):
        (tmp_path / f"seed-{seed}").rename(tmp_path / f"other-{seed}")
    few = weighed(CLAIMS["likelihood_reversed"], collect(tmp_path))
    assert few.told == "nothing to correlate at 1 seed"
    assert told("likelihood", findings) != ["nothing to correlate"]


def test_a_test_that_some_seeds_lack_says_of_how_many_it_is(tmp_path: Path) -> None:
    seeds = [*THREE, {"sft_standard": 2.2}]
    result = weighed(one(0.0), found(tmp_path, seeds))
    assert result.tests[0].number == "2.70 ± 0.25 (3 of 4 seeds)"


def test_the_order_at_every_temperature_is_that_at_the_worst(tmp_path: Path) -> None:
    group = [
        arm(f"temperature/{kind}_{heat}", kind, of=f"main/{kind}", at={"temperature": heat})
        for kind in ("sft_standard", "sft_anchored")
        for heat in (0.6, 1.1)
    ]
    numbers = {
        SFT: summary(2.5),
        ANCHORED: summary(5.2),
        "temperature/sft_standard_0.6": summary(2.0),
        "temperature/sft_anchored_0.6": summary(2.2),
        "temperature/sft_standard_1.1": summary(2.6),
        "temperature/sft_anchored_1.1": summary(5.3),
    }
    write_seed(tmp_path, 0, [*MAIN, *group], numbers)
    test = weighed(CLAIMS["order"], collect(tmp_path)).tests[0]
    assert test.found is not None
    assert test.found.value == pytest.approx(0.2)
