"""What the paper claims that the study tests, and by which numbers (arXiv 2605.09995).

Ranges were chosen before this grid was run, and stand beside every number; docs/log.md had earlier
numbers of some arms by then.
"""

from __future__ import annotations

from olmo_anchor.study.findings.claims import FLAT, AtSeed, Check, Claim
from olmo_anchor.study.findings.numbers import (
    area,
    arms,
    best,
    correlation,
    data_entropy,
    difference,
    least_apart,
    less,
    level,
    log_of,
    setting,
    slope,
    span,
)

__all__ = [
    *("ANCHORED", "ANNOTATED", "AS_GOOD", "BASE", "CLOSE", "FAR", "HALF", "HOT", "PAPER"),
    *("POINTS", "STANDARD", "TOPIC", "WRONG"),
]

BASE, STANDARD, ANCHORED = "main/base_standard", "main/sft_standard", "main/sft_anchored"
ANNOTATED = "main/base_annotated"
HOT = tuple(f"sampling/sft_standard_{heat}" for heat in ("1.3", "1.6", "2"))
"""Standard SFT above the temperatures of the group `temperature`."""
TOPIC = "entropy.topic"

CLOSE = 0.25
"""Bits. Entropies that differ by less count as equal: the world has 5.58 bits of topics."""
FAR = 0.5
"""Bits. Of what the paper calls a substantial or sharp difference."""
WRONG = (10, 30, 50)
"""Per cent of the tags, of the noisy arms."""
POINTS = 0.05
"""Shares that differ by less count as equal. The paper's task scores agree within a point of a
hundred; a share of some hundred answers is not known so well."""

AS_GOOD = {"valid": POINTS, "style": POINTS, "request.outside": 2 * POINTS}
"""What an arm may have less of than anchored SFT and still be compared in its entropy: one that
stayed the base, or tells nonsense, is diverse at no effort."""
HALF = 0.5
"""A share that tells a thing that is mostly so from one that is mostly not."""

_SIZES = {
    kind: arms(f"main/{kind}", "sizes", kind=kind)
    for kind in ("base_standard", "sft_standard", "sft_anchored")
}
_EXAMPLES = {kind: arms("sft_examples", kind=kind) for kind in ("sft_standard", "sft_anchored")}
_FITS = {
    kind: arms(f"main/{kind}", "lr", "sft_examples", kind=kind)
    for kind in ("sft_standard", "sft_anchored")
}
_TOPICS = {
    kind: arms(f"main/{kind}", "topics", kind=kind) for kind in ("sft_standard", "sft_anchored")
}
_PERSONAS = {
    kind: arms(f"main/{kind}", "personas", kind=kind)
    for kind in ("sft_standard", "sft_anchored", "sft_anchored_persona")
}
_HEAT = {
    kind: arms(f"main/{kind}", "temperature", kind=kind)
    for kind in ("base_standard", "base_annotated", "sft_standard", "sft_anchored")
}
_SPREAD_PERSONAS = {
    kind: arms(*(f"personas/{kind}_{n}" for n in (8, 12, 23)))
    for kind in ("sft_standard", "sft_anchored_persona")
}
_TEMPERATURE = setting("temperature", 1.0)


def _rising(says: str, kind: str) -> Check:
    number = slope(TOPIC, _SIZES[kind], log_of("parameters"))
    if kind == "sft_standard":
        return Check(says, number, high=0, flat=FLAT)
    return Check(says, number, low=0, flat=FLAT)


_WAYS = {"skip": "skipped", "empty": "empty"}


def _skipped(key: str, says: str, sampled: str, without: str) -> tuple[Check, ...]:
    """Sampled minus skipped, and minus empty."""
    return tuple(
        Check(
            f"{says}, annotation sampled \u2212 {how}",
            difference(key, sampled, f"{without}_{way}"),
            low=FAR if key == TOPIC else HALF,
        )
        for way, how in _WAYS.items()
    )


def _twice(key: str, arm: str, base: str, other: str, its_base: str) -> AtSeed:
    """What SFT changed from its base, of an arm minus of another: a base that happens to follow
    requests badly is no effect of SFT."""
    return less(difference(key, arm, base), difference(key, other, its_base))


PAPER = (
    Claim(
        "collapse",
        "Standard SFT makes a model's answers less diverse.",
        "section 3.2, figure 3",
        (
            Check(
                "topic entropy, base \u2212 standard SFT", difference(TOPIC, BASE, STANDARD), low=0
            ),
            Check(
                "mean of four attributes, base \u2212 standard SFT",
                difference("entropy.mean", BASE, STANDARD),
                low=0,
            ),
        ),
    ),
    Claim(
        "gap",
        "Anchored SFT closes roughly 85 % of the gap to the base model.",
        "section 5.2, figure 5 (Stories, 2.5B)",
        (
            Check("share of the topic gap closed", level("gap.topic", ANCHORED), low=0.75),
            Check(
                "share of the gap closed, mean of four attributes, the persona annotated, too",
                level("gap.mean", "personas/sft_anchored_persona_1"),
                low=0.75,
            ),
        ),
    ),
    Claim(
        "tasks",
        "Diversity does not cost ability: task scores of both pipelines agree.",
        "section 5.2, tables 3 and 4 (here: whether requests are followed)",
        tuple(
            Check(f"{says}, {what}", number, low=-POINTS)
            for key, says in (
                ("request.inside", "named topic followed, topics of SFT"),
                ("request.outside", "named topic followed, other topics"),
                ("request.name", "named hero followed"),
                ("style", "style of SFT"),
            )
            for what, number in (
                ("anchored \u2212 standard", difference(key, ANCHORED, STANDARD)),
                (
                    "what SFT changed from its base, anchored \u2212 standard",
                    _twice(key, ANCHORED, ANNOTATED, STANDARD, BASE),
                ),
            )
        ),
    ),
    Claim(
        "annotated_base",
        "Annotated pretraining alone neither adds nor takes diversity: both bases are as diverse.",
        "section 5.3, table 5",
        (
            Check(
                "topic entropy, annotated \u2212 standard base",
                difference(TOPIC, ANNOTATED, BASE),
                -CLOSE,
                CLOSE,
            ),
            Check(
                "mean of four attributes, annotated \u2212 standard base",
                difference("entropy.mean", ANNOTATED, BASE),
                -CLOSE,
                CLOSE,
            ),
        ),
    ),
    Claim(
        "scale",
        "Collapse worsens with the size of the model, while base models grow more diverse.",
        "sections 3.2 and 5.2, figures 3 and 5",
        (
            _rising("standard SFT: bits of topic entropy per doubling of the size", "sft_standard"),
            _rising("base: bits of topic entropy per doubling of the size", "base_standard"),
        ),
    ),
    Claim(
        "scale_reversed",
        "Anchoring reverses the trend: larger anchored models are more diverse.",
        "section 5.2, figure 5",
        (_rising("anchored SFT: bits of topic entropy per doubling of the size", "sft_anchored"),),
    ),
    Claim(
        "annotated_pretraining",
        "Without annotated pretraining, diversity stays close to that of standard SFT.",
        "section 5.3, table 5; appendix C.4 (annotations unmasked)",
        (
            Check(
                "topic entropy, standard base with annotations unmasked \u2212 standard SFT",
                difference(TOPIC, "mask/standard_base_unmasked", STANDARD),
                -FAR,
                FAR,
            ),
            Check(
                "topic entropy, anchored \u2212 standard base with annotations unmasked",
                difference(TOPIC, ANCHORED, "mask/standard_base_unmasked"),
                low=FAR,
            ),
        ),
    ),
    Claim(
        "sampling_needed",
        "Answering without sampling an annotation first gives substantially less diversity.",
        "section 5.3, table 5",
        (
            *_skipped("valid", "fully annotated base: valid", ANCHORED, "skip/sft_anchored"),
            *_skipped(
                TOPIC,
                "a quarter of the SFT examples unannotated: topic entropy",
                *("skip/sft_without_25", "skip/sft_without_25"),
            ),
            *_skipped(
                TOPIC,
                "the same with the opening delimiter trained: topic entropy",
                *("skip/sft_without_25_opening", "skip/sft_without_25_opening"),
            ),
            *_skipped(
                TOPIC,
                "15 % of the pretraining documents unannotated: topic entropy",
                *("skip/base_without_15_sft", "skip/base_without_15_sft"),
            ),
            Check(
                "15 % of the pretraining documents unannotated: style, annotation sampled \u2212 "
                "skipped",
                difference("style", "skip/base_without_15_sft", "skip/base_without_15_sft_skip"),
                low=HALF,
            ),
        ),
    ),
    Claim(
        "examples",
        "The more SFT examples, the less diverse a model after standard SFT.",
        "section 3.2, figure 4 (right)",
        (
            Check(
                "standard SFT: bits of topic entropy per doubling of the examples",
                slope(TOPIC, _EXAMPLES["sft_standard"], log_of("share")),
                high=0,
                flat=FLAT,
            ),
        ),
    ),
    Claim(
        "examples_reversed",
        "Anchoring reverses that: more examples, more diversity.",
        "section 3.2, figure 4 (right)",
        (
            Check(
                "anchored SFT: bits of topic entropy per doubling of the examples",
                slope(TOPIC, _EXAMPLES["sft_anchored"], log_of("share")),
                low=0,
                flat=FLAT,
            ),
        ),
    ),
    Claim(
        "likelihood",
        "The better standard SFT fits held-out data, the less diverse the model.",
        "section 3.2, figure 4 (left)",
        (
            Check(
                "standard SFT: correlation of held-out loss and topic entropy over learning "
                "rates and numbers of examples",
                correlation("loss", TOPIC, _FITS["sft_standard"]),
                low=0,
                span=span(TOPIC, _FITS["sft_standard"]),
                least=CLOSE,
            ),
        ),
    ),
    Claim(
        "likelihood_reversed",
        "Anchoring reverses that: the better the fit, the more diverse the model.",
        "section 3.2, figure 4 (left)",
        (
            Check(
                "anchored SFT: the same correlation",
                correlation("loss", TOPIC, _FITS["sft_anchored"]),
                high=0,
                span=span(TOPIC, _FITS["sft_anchored"]),
                least=CLOSE,
            ),
        ),
    ),
    Claim(
        "frontier",
        "Over temperatures, anchoring improves the frontier of diversity and quality.",
        "section 5.2, figure 6 (quality: here the share of valid answers)",
        (
            Check(
                "area below the points (valid, topic entropy), anchored \u2212 standard",
                less(
                    area(TOPIC, "valid", _HEAT["sft_anchored"]),
                    area(TOPIC, "valid", _HEAT["sft_standard"]),
                ),
                low=0,
            ),
            Check(
                "topic entropy, anchored \u2212 the most that standard SFT has at any temperature "
                "up to 2, as good otherwise",
                less(
                    level(TOPIC, ANCHORED),
                    best(
                        TOPIC,
                        arms(STANDARD, "temperature", *HOT, kind="sft_standard"),
                        ANCHORED,
                        AS_GOOD,
                    ),
                ),
                low=0,
            ),
        ),
    ),
    Claim(
        "order",
        "The order of the models by their diversity is the same at every temperature.",
        "section 5.1, figure 6",
        tuple(
            Check(
                f"topic entropy, {says} \u2212 standard SFT, the least over temperatures",
                least_apart(TOPIC, _HEAT[kind], _HEAT["sft_standard"], _TEMPERATURE),
                low=0,
            )
            for kind, says in (
                ("sft_anchored", "anchored SFT"),
                ("base_standard", "standard base"),
                ("base_annotated", "annotated base"),
            )
        ),
    ),
    Claim(
        "data_entropy",
        "Standard SFT tracks the entropy of its data; anchored SFT is substantially less "
        "sensitive.",
        "section 5.4, figure 7 (topics)",
        (
            Check(
                "standard SFT: bits of topic entropy per bit of the data's",
                slope(TOPIC, _TOPICS["sft_standard"], data_entropy("topic")),
                low=0.5,
            ),
            Check(
                "the same, standard \u2212 anchored",
                less(
                    slope(TOPIC, _TOPICS["sft_standard"], data_entropy("topic")),
                    slope(TOPIC, _TOPICS["sft_anchored"], data_entropy("topic")),
                ),
                low=0.25,
            ),
        ),
    ),
    Claim(
        "data_entropy_personas",
        "Standard SFT tracks the personas of its data; anchored SFT is essentially invariant to "
        "them.",
        "section 5.4, figure 7 (personas)",
        (
            *(
                Check(
                    f"standard SFT, {says}: bits of persona entropy per bit of the data's",
                    slope("entropy.persona", chosen, data_entropy("persona")),
                    low=HALF,
                )
                for says, chosen in (
                    ("1 to 23 personas", _PERSONAS["sft_standard"]),
                    ("8 to 23", _SPREAD_PERSONAS["sft_standard"]),
                )
            ),
            *(
                Check(
                    f"anchored SFT, {says}: bits of persona entropy per bit of the data's",
                    slope("entropy.persona", chosen, data_entropy("persona")),
                    -0.1,
                    0.1,
                )
                for says, chosen in (
                    (
                        "the persona annotated, 1 to 23 personas",
                        _PERSONAS["sft_anchored_persona"],
                    ),
                    (
                        "the persona annotated, 8 to 23",
                        _SPREAD_PERSONAS["sft_anchored_persona"],
                    ),
                    ("the persona not annotated", _PERSONAS["sft_anchored"]),
                )
            ),
        ),
    ),
    Claim(
        "noise",
        "Annotations need not be right: noise of the annotator does no harm.",
        "section 5.1 (occasional noise)",
        tuple(
            Check(f"{says}, {wrong} % of the tags wrong \u2212 none{of}", number, low=-least)
            for wrong in WRONG
            for key, says, least in (
                (TOPIC, "topic entropy", CLOSE),
                ("valid", "valid", POINTS),
                ("request.outside", "named topic followed, other topics", POINTS),
            )
            for arm, base in ((f"noise/sft_anchored_{wrong}", f"noise/base_{wrong}"),)
            for of, number in (
                ("", difference(key, arm, ANCHORED)),
                (
                    ", what SFT changed from its base",
                    _twice(key, arm, base, ANCHORED, ANNOTATED),
                ),
            )
        ),
    ),
    Claim(
        "value_only",
        "Training keys and delimiters in 0.3 % of the examples keeps the format, at no price in "
        "diversity.",
        "section 5.1, appendix C.3",
        (
            Check(
                "anchored SFT (0.3 %): answers without an annotation",
                level("no_annotation", ANCHORED),
                high=0.02,
            ),
            Check(
                "anchored SFT (0.3 %): annotations that never close",
                level("unclosed", ANCHORED),
                high=0.02,
            ),
            Check(
                "topic entropy, 0.3 % \u2212 none",
                difference(TOPIC, ANCHORED, "value_only/sft_anchored_0"),
                low=-CLOSE,
            ),
        ),
    ),
)
