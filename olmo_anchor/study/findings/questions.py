"""Questions of our own that the study answers, put as claims and weighed by the same rule."""

from __future__ import annotations

import math

from olmo_anchor.study.findings.claims import Check, Claim
from olmo_anchor.study.findings.numbers import (
    arms,
    best,
    data_entropy,
    difference,
    less,
    level,
    log_of,
    slope,
)
from olmo_anchor.study.findings.paper import (
    ANCHORED,
    ANNOTATED,
    AS_GOOD,
    BASE,
    CLOSE,
    FAR,
    HALF,
    HOT,
    POINTS,
    STANDARD,
    TOPIC,
    WRONG,
)

__all__ = ["OWN"]

_GIVEN = "main/sft_anchored_given"
_GONE = 0.005
"""Bits of prior KL that count as none."""


def _eps(kind: str) -> list[str]:
    return [f"eps/{kind}_{eps}" for eps in ("1e-8", "1e-6", "1e-5")]


def _reached(says: str, *names_or_groups: str, kind: str | None = None) -> Check:
    return Check(
        f"topic entropy, anchored \u2212 the most of {says}, as good otherwise",
        less(
            level(TOPIC, ANCHORED),
            best(TOPIC, arms(*names_or_groups, kind=kind), ANCHORED, AS_GOOD),
        ),
        low=0,
    )


def _frozen(says: str, arm: str) -> tuple[Check, Check]:
    return (
        Check(
            f"prior KL at epsilon 1e-8, trained \u2212 {says}",
            difference("kl.topic", "eps/sft_anchored_1e-8", arm),
            low=0,
            digits=3,
        ),
        Check(f"prior KL at epsilon 1e-8, {says}", level("kl.topic", arm), high=_GONE, digits=3),
    )


def _of_term(kind: str, weight: str, says: str) -> tuple[Check, ...]:
    """The greatest weight of a term against none, both of the same fewer steps."""
    arm, control = f"regularized/{kind}_{weight}", f"regularized/{kind}_0"
    return (
        Check(
            f"topic entropy, {says} of weight {weight} \u2212 0, equal steps",
            difference(TOPIC, arm, control),
            low=0,
        ),
        Check(
            f"style, {says} of weight {weight} \u2212 0, equal steps",
            difference("style", arm, control),
            high=0,
        ),
    )


OWN = (
    Claim(
        "given",
        "Keeping the values that the request names in the loss (anchored_given) keeps them copied "
        "and followed, better than plain anchored SFT does and as the base does, at no price.",
        "",
        (
            *(
                Check(
                    f"{says}, anchored_given \u2212 {whose}", difference(key, _GIVEN, arm), low=low
                )
                for key, says in (
                    ("copied.name", "named hero copied into the annotation"),
                    ("request.name", "named hero followed"),
                )
                for arm, whose, low in (
                    (ANCHORED, "anchored", 0.0),
                    (ANNOTATED, "annotated base", -POINTS),
                )
            ),
            Check(
                "other topic named copied into the annotation, anchored_given \u2212 "
                "annotated base",
                difference("copied.outside", _GIVEN, ANNOTATED),
                low=-POINTS,
            ),
            Check(
                "topic entropy, anchored_given \u2212 anchored",
                difference(TOPIC, _GIVEN, ANCHORED),
                low=-CLOSE,
            ),
            Check(
                "style, anchored_given \u2212 anchored",
                difference("style", _GIVEN, ANCHORED),
                low=-POINTS,
            ),
            Check(
                "prior KL in bits, anchored_given \u2212 anchored",
                difference("kl.topic", _GIVEN, ANCHORED),
                high=_GONE,
                digits=3,
            ),
        ),
    ),
    Claim(
        "request_kept",
        "The mask keeps p(annotation | request), too: plain anchored SFT copies a named value as "
        "its base does.",
        "",
        tuple(
            Check(
                f"{says} copied into the annotation, anchored \u2212 annotated base",
                difference(key, ANCHORED, ANNOTATED),
                low=-POINTS,
            )
            for key, says in (
                ("copied.name", "named hero"),
                ("copied.outside", "other topic named"),
            )
        ),
    ),
    Claim(
        "valid",
        "Anchored SFT gives fewer valid answers than standard SFT, and the difference lies in the "
        "topics that SFT never showed.",
        "",
        (
            Check(
                "valid answers to open requests, standard \u2212 anchored",
                difference("valid", STANDARD, ANCHORED),
                low=0,
                digits=3,
            ),
            Check(
                "valid answers where a topic is named, standard \u2212 anchored: other topics "
                "\u2212 topics of SFT",
                less(
                    difference("request_valid.outside", STANDARD, ANCHORED),
                    difference("request_valid.inside", STANDARD, ANCHORED),
                ),
                low=0,
                digits=3,
            ),
        ),
    ),
    Claim(
        "valid_min_p",
        "With min_p 0.02 in both, anchored SFT gives as many valid answers as standard SFT, and "
        "keeps its diversity.",
        "",
        (
            Check(
                "valid, anchored \u2212 standard, both with min_p 0.02",
                difference("valid", "sampling/sft_anchored_min_p", "sampling/sft_standard_min_p"),
                low=-0.01,
                digits=3,
            ),
            Check(
                "topic entropy, anchored, min_p 0.02 \u2212 none",
                difference(TOPIC, "sampling/sft_anchored_min_p", ANCHORED),
                low=-CLOSE,
            ),
        ),
    ),
    Claim(
        "mask",
        "It is the mask that anchors: on the annotated base, too, unmasked annotations collapse.",
        "",
        (
            Check(
                "topic entropy, anchored \u2212 annotated base with annotations unmasked",
                difference(TOPIC, ANCHORED, "mask/annotated_base_unmasked"),
                low=FAR,
            ),
            Check(
                "topic entropy, anchored \u2212 standard SFT of the annotated base",
                difference(TOPIC, ANCHORED, "mask/annotated_base_standard_sft"),
                low=FAR,
            ),
        ),
    ),
    Claim(
        "unmasked_requests",
        "Annotated pretraining shows in request following, also where annotations are unmasked.",
        "",
        tuple(
            Check(
                f"named topic followed, {says}: annotated \u2212 standard base, both unmasked",
                difference(key, "mask/annotated_base_unmasked", "mask/standard_base_unmasked"),
                low=0,
            )
            for key, says in (
                ("request.inside", "topics of SFT"),
                ("request.outside", "other topics"),
            )
        ),
    ),
    Claim(
        "masked_on_standard",
        "A mask alone does not anchor: on a base that never saw annotations the model never "
        "annotates, and answers as the unstyled base does.",
        "",
        (
            Check(
                "answers without an annotation, masked annotations on the standard base",
                level("no_annotation", "mask/standard_base_anchored"),
                low=0.9,
            ),
            Check(
                "style, anchored \u2212 masked annotations on the standard base",
                difference("style", ANCHORED, "mask/standard_base_anchored"),
                low=HALF,
            ),
        ),
    ),
    Claim(
        "unannotated_examples",
        "A quarter of the SFT examples without annotations is enough to make the model leave them "
        "out and collapse: where there is one, its opening delimiter is not in the loss.",
        "",
        (
            Check(
                "answers without an annotation, a quarter of the SFT examples unannotated",
                level("no_annotation", "skip/sft_without_25"),
                low=0.9,
            ),
            Check(
                "topic entropy, anchored \u2212 a quarter of the SFT examples unannotated",
                difference(TOPIC, ANCHORED, "skip/sft_without_25"),
                low=FAR,
            ),
        ),
    ),
    Claim(
        "opening",
        "Always training the opening delimiter helps where some pretraining documents or SFT "
        "examples have no annotation, and costs nothing where all have one.",
        "",
        (
            Check(
                "style, with it \u2212 without, 15 % of the documents unannotated",
                difference("style", "skip/base_without_15_sft_opening", "skip/base_without_15_sft"),
                low=0,
            ),
            Check(
                "topic entropy, with it \u2212 without, a quarter of the SFT examples unannotated",
                difference(TOPIC, "skip/sft_without_25_opening", "skip/sft_without_25"),
                low=FAR,
            ),
            Check(
                "topic entropy, with it \u2212 without, all annotated",
                difference(TOPIC, "opening/sft_anchored", ANCHORED),
                low=-CLOSE,
            ),
        ),
    ),
    Claim(
        "not_annotated",
        "What is not annotated is not anchored: the persona collapses as in standard SFT.",
        "",
        (
            Check(
                "persona entropy, base \u2212 anchored",
                difference("entropy.persona", BASE, ANCHORED),
                low=FAR,
            ),
            Check(
                "share of the gap closed, mean of four, of which the persona is not annotated",
                level("gap.mean", ANCHORED),
                high=0.75,
            ),
            Check(
                "bits of persona entropy per bit of the data's, anchored \u2212 standard",
                less(
                    *(
                        slope(
                            "entropy.persona",
                            arms(f"main/{kind}", "personas", kind=kind),
                            data_entropy("persona"),
                        )
                        for kind in ("sft_anchored", "sft_standard")
                    )
                ),
                -0.2,
                0.2,
            ),
        ),
    ),
    Claim(
        "eps",
        "The smaller Adam's epsilon, the further anchored SFT moves the prior that it should keep, "
        "and the more standard SFT collapses.",
        "",
        (
            Check(
                "anchored: bits of prior KL per tenfold epsilon",
                slope("kl.topic", arms(ANCHORED, *_eps("sft_anchored")), log_of("eps", 10)),
                high=0,
                digits=3,
            ),
            Check(
                "standard: bits of topic entropy per tenfold epsilon",
                slope(TOPIC, arms(STANDARD, *_eps("sft_standard")), log_of("eps", 10)),
                low=0,
            ),
        ),
    ),
    Claim(
        "eps_frozen",
        "The drift goes through the shared embedding and output weights: frozen, they end it.",
        "",
        _frozen("both frozen", "eps/sft_anchored_frozen_1e-8"),
    ),
    Claim(
        "eps_embeddings",
        "Freezing the embeddings alone ends it.",
        "",
        _frozen("embeddings frozen", "eps/sft_anchored_frozen_embeddings_1e-8"),
    ),
    Claim(
        "eps_head",
        "Freezing the output alone ends it.",
        "",
        _frozen("output frozen", "eps/sft_anchored_frozen_head_1e-8"),
    ),
    Claim(
        "noise_in_sft",
        "Where noise does harm, it is that of the SFT data: right tags there keep the anchor of a "
        "base with wrong ones, wrong ones there lose that of a base with right ones.",
        "",
        tuple(
            Check(
                f"topic entropy, {wrong} % of the tags wrong in {where} alone \u2212 none",
                difference(TOPIC, f"noise/sft_anchored_{which}_in_sft_{wrong}", ANCHORED),
                low,
                high,
            )
            for wrong in WRONG
            for where, which, low, high in (
                ("pretraining", "right", -CLOSE, math.inf),
                ("SFT", "wrong", -math.inf, -CLOSE),
            )
        ),
    ),
    Claim(
        "noise_among",
        "What takes the anchor is a tag that SFT shows only where it is wrong: wrong tags that the "
        "SFT data has itself, from the stories beside, do less harm.",
        "",
        tuple(
            Check(
                f"topic entropy, {wrong} % wrong in SFT: tags of the data \u2212 any",
                difference(
                    TOPIC,
                    f"noise/sft_anchored_wrong_among_sft_{wrong}",
                    f"noise/sft_anchored_wrong_in_sft_{wrong}",
                ),
                low=FAR,
            )
            for wrong in (30, 50)
        ),
    ),
    Claim(
        "regularized",
        "A KL or an entropy term keeps diversity, and pays with the style that SFT teaches.",
        "",
        (*_of_term("sft_kl", "1", "KL term"), *_of_term("sft_entropy", "0.3", "entropy term")),
    ),
    Claim(
        "baselines",
        "No baseline that is as valid and as styled, and follows requests as well, has anchored "
        "SFT's diversity.",
        "",
        (
            _reached("KL-regularised SFT", "regularized", kind="sft_kl"),
            _reached("entropy-regularised SFT", "regularized", kind="sft_entropy"),
            _reached(
                "standard SFT at any temperature",
                STANDARD,
                "temperature",
                *HOT,
                kind="sft_standard",
            ),
        ),
    ),
)
