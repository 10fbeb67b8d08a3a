"""Questions of our own that the study answers, put as claims and weighed by the same rule."""

from __future__ import annotations

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
from olmo_anchor.study.findings.paper import ANCHORED, BASE, CLOSE, FAR, POINTS, STANDARD, TOPIC

__all__ = ["OWN"]

_GIVEN = "main/sft_anchored_given"
_ANNOTATED = "main/base_annotated"


def _eps(kind: str) -> list[str]:
    return [f"eps/{kind}_{eps}" for eps in ("1e-8", "1e-6", "1e-5")]


def _reached(says: str, *names_or_groups: str, kind: str | None = None) -> Check:
    return Check(
        f"topic entropy, anchored \u2212 the most of {says} with as many valid answers",
        less(
            level(TOPIC, ANCHORED),
            best(TOPIC, "valid", arms(*names_or_groups, kind=kind), like=ANCHORED, slack=0.01),
        ),
        low=0,
    )


OWN = (
    Claim(
        "given",
        "Keeping the values that the request names in the loss (anchored_given) keeps copying "
        "them, at no price in diversity.",
        "",
        (
            Check(
                "named topic copied into the annotation, anchored_given \u2212 anchored",
                difference("copied.outside", _GIVEN, ANCHORED),
                low=0,
            ),
            Check(
                "named topic followed, other topics, anchored_given \u2212 annotated base",
                difference("request.outside", _GIVEN, _ANNOTATED),
                low=-POINTS,
            ),
            Check(
                "topic entropy, anchored_given \u2212 anchored",
                difference(TOPIC, _GIVEN, ANCHORED),
                low=-CLOSE,
            ),
        ),
    ),
    Claim(
        "request_kept",
        "The mask keeps p(annotation | request), too: plain anchored SFT copies a named value as "
        "its base does.",
        "",
        (
            Check(
                "named topic copied into the annotation, anchored \u2212 annotated base",
                difference("copied.outside", ANCHORED, _ANNOTATED),
                low=-POINTS,
            ),
            Check(
                "KL of the annotation in bits, other topics named \u2212 nothing named",
                less(level("kl.outside", ANCHORED), level("kl.open", ANCHORED)),
                high=0.1,
            ),
        ),
    ),
    Claim(
        "valid",
        "Anchored SFT gives fewer valid answers than standard SFT, and the difference lies in the "
        "topics that SFT never showed.",
        "",
        (
            Check(
                "valid, standard \u2212 anchored", difference("valid", STANDARD, ANCHORED), low=0
            ),
            Check(
                "valid, anchored SFT: topics of SFT \u2212 other topics",
                less(level("valid.inside", ANCHORED), level("valid.outside", ANCHORED)),
                low=0,
            ),
        ),
    ),
    Claim(
        "valid_min_p",
        "Sampling with min_p 0.02 closes it, and keeps the diversity.",
        "",
        (
            Check(
                "valid, anchored with min_p 0.02 \u2212 standard",
                difference("valid", "sampling/sft_anchored_min_p", STANDARD),
                low=-0.01,
                digits=3,
            ),
            Check(
                "topic entropy, min_p 0.02 \u2212 none",
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
        "A mask alone does not anchor: from a base that never saw annotations there is nothing to "
        "keep, and fewer answers are valid.",
        "",
        (
            Check(
                "valid, anchored \u2212 masked annotations on the standard base",
                difference("valid", ANCHORED, "mask/standard_base_anchored"),
                low=POINTS,
            ),
        ),
    ),
    Claim(
        "opening",
        "Always training the opening delimiter helps where some pretraining documents have no "
        "annotation, and costs nothing where all have one.",
        "",
        (
            Check(
                "style, with it \u2212 without, 15 % of the documents unannotated",
                difference("style", "skip/base_without_15_sft_opening", "skip/base_without_15_sft"),
                low=0,
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
        (
            Check(
                "prior KL at epsilon 1e-8, trained \u2212 frozen",
                difference("kl.topic", "eps/sft_anchored_1e-8", "eps/sft_anchored_frozen_1e-8"),
                low=0,
                digits=3,
            ),
        ),
    ),
    Claim(
        "baselines",
        "No baseline gives anchored SFT's diversity with as many valid answers.",
        "",
        (
            _reached("KL-regularised SFT", "regularized", kind="sft_kl"),
            _reached("entropy-regularised SFT", "regularized", kind="sft_entropy"),
            _reached(
                "standard SFT at any temperature",
                STANDARD,
                "temperature",
                *(f"sampling/sft_standard_{heat}" for heat in ("1.3", "1.6", "2")),
                kind="sft_standard",
            ),
            _reached("verbalized sampling", "sampling/sft_standard_verbalized"),
        ),
    ),
)
