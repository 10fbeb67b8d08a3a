"""The parts of the page and of the document: a question each, its arms, its claims."""

from __future__ import annotations

from dataclasses import dataclass

from olmo_anchor.study.findings.claims import Claim
from olmo_anchor.study.findings.paper import PAPER
from olmo_anchor.study.findings.questions import OWN

__all__ = ["CLAIMS", "SECTIONS", "Section"]

CLAIMS: dict[str, Claim] = {claim.name: claim for claim in (*PAPER, *OWN)}

_ENTROPIES = ("entropy.topic", "entropy.name", "entropy.place", "entropy.persona")
_BRIEF = ("entropy.topic", "entropy.persona", "gap.topic", "valid", "style")
_REQUESTS = ("request.inside", "request.outside", "request.name")
_COPIED = ("copied.inside", "copied.outside", "copied.name")
_PERPLEXITY = ("perplexity.text", "perplexity.given")
_MAIN = ("main/base_standard", "main/sft_standard", "main/sft_anchored")


@dataclass(frozen=True)
class Section:
    """:param question: that it answers.
    :param beside: arms of other groups that its table starts with.
    :param groups: of the grid, whose arms follow.
    :param columns: measures of the table.
    :param more: measures of further tables of the same arms.
    :param figures: names, as in :data:`~olmo_anchor.study.findings.figures.FIGURES`.
    :param caption: of the figures.
    :param claims: names.
    """

    name: str
    title: str
    question: str
    groups: tuple[str, ...]
    columns: tuple[str, ...]
    claims: tuple[str, ...]
    figures: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    caption: str = ""
    more: tuple[tuple[str, ...], ...] = ()


SECTIONS = (
    Section(
        "main",
        "Collapse, and what anchoring keeps",
        "Two models are pretrained on one corpus, with annotations and without. Both are "
        "post-trained on the same conversations, which know 5 of the 48 topics and 1 of the 23 "
        "personas. How much of the world is left in their answers to open requests, and do they "
        "still do what they are asked?",
        ("main",),
        (
            "entropy.topic",
            "entropy.topic_plug_in",
            "n",
            *_ENTROPIES[1:],
            "entropy.mean",
            "gap.topic",
            "gap.mean",
        ),
        ("collapse", "gap", "annotated_base", "tasks", "request_kept", "given"),
        ("main",),
        caption="Topic and name are in the annotations, place and persona are not.",
        more=(
            ("valid", "style", "followed.topic", *_REQUESTS, *_COPIED),
            ("kl.topic", *_PERPLEXITY),
        ),
    ),
    Section(
        "sizes",
        "Model size",
        "Does collapse worsen as models grow, and does anchoring turn that round? A world of 48 "
        "topics holds log2 48 = 5.58 bits: where a base is at this ceiling, neither it nor an "
        "anchored model can be more diverse with its size, and flat is all that can be found.",
        ("sizes", "large"),
        (*_BRIEF, "entropy.mean", "gap.mean"),
        ("scale", "scale_reversed"),
        ("sizes",),
        ("main/base_standard", "main/base_annotated", "main/sft_standard", "main/sft_anchored"),
        more=(("request.outside", "kl.topic", *_PERPLEXITY),),
    ),
    Section(
        "topics",
        "Entropy of the SFT data: topics",
        "If the conversations themselves have 14 or 48 topics and not 5, how much more varied are "
        "the answers?",
        ("topics",),
        (*_BRIEF, "request.outside", "kl.topic"),
        ("data_entropy",),
        ("topics",),
        _MAIN,
        "On the dotted diagonal a model is as varied as its SFT data.",
    ),
    Section(
        "personas",
        "Entropy of the SFT data: personas",
        "The same for the persona that tells the story, which is in the annotations in one variant "
        "and left out of them in the other.",
        ("personas",),
        (
            *("entropy.topic", "entropy.persona", "gap.persona", "gap.mean"),
            *("valid", "style", "kl.topic"),
        ),
        ("data_entropy_personas", "not_annotated"),
        ("personas",),
        ("main/base_standard", "main/base_annotated"),
        "On the dotted diagonal a model is as varied as its SFT data.",
    ),
    Section(
        "mask",
        "What does it: annotated pretraining, or the mask?",
        "The paper leaves annotated pretraining out and unmasks the annotations at once. Here each "
        "is left out alone, too.",
        ("mask",),
        (*_BRIEF, "followed.topic", "no_annotation", "kl.topic"),
        ("annotated_pretraining", "mask", "unmasked_requests", "masked_on_standard"),
        ("mask",),
        _MAIN,
        "Up and to the right is better, in both panels at once. Dotted: the standard base.",
        ((*_REQUESTS, *_COPIED),),
    ),
    Section(
        "skip",
        "Answering without an annotation",
        "What does an anchored model say when it is kept from sampling an annotation (skip: the "
        "opening delimiter is banned) or is given an empty one? It depends on whether it ever "
        "learnt to answer without one.",
        ("skip", "opening"),
        ("n", *_BRIEF, "no_annotation", "unclosed"),
        ("sampling_needed", "unannotated_examples", "opening"),
        ("skip",),
        _MAIN,
        "Entropy is over valid answers: arms with too few of them are not drawn.",
    ),
    Section(
        "sft_examples",
        "Number of SFT examples",
        "Does more SFT data mean less diversity?",
        ("sft_examples",),
        _BRIEF,
        ("examples", "examples_reversed"),
        ("sft_examples",),
        _MAIN,
        more=(("request.outside", "kl.topic", *_PERPLEXITY),),
    ),
    Section(
        "lr",
        "How well SFT fits",
        "Are the models that fit held-out conversations best the least diverse?",
        ("lr",),
        _BRIEF,
        ("likelihood", "likelihood_reversed"),
        ("held_out",),
        _MAIN,
        "Points are labelled with the learning rate, or with the share of the examples. Each "
        "method has its own panel: losses with and without an annotation are of different things.",
        (("request.outside", "kl.topic", *_PERPLEXITY),),
    ),
    Section(
        "temperature",
        "Diversity and validity over temperatures",
        "At which price in valid answers does each model give diversity?",
        ("temperature",),
        (
            *("entropy.topic", "n", "entropy.persona", "valid", "style"),
            *("no_annotation", "unclosed"),
        ),
        ("frontier", "order", "valid"),
        ("temperature",),
        ("main/base_standard", "main/base_annotated", "main/sft_standard", "main/sft_anchored"),
        "Up and to the right is better. Points are labelled with the temperature.",
        (("request_valid.inside", "request_valid.outside"),),
    ),
    Section(
        "baselines",
        "Other ways to keep diversity",
        "Standard SFT with a KL or an entropy term, at equal cost (weight 0: the same fewer steps "
        "without it); a higher temperature; asking "
        "for several answers with their probabilities (verbalized sampling).",
        ("regularized", "sampling"),
        (*_BRIEF, *_REQUESTS),
        ("baselines", "regularized", "valid_min_p"),
        ("baselines",),
        _MAIN,
        "Up and to the right is better, in all panels at once: a model that stays the base is "
        "diverse, valid and unstyled. Points are labelled with the weight of the term, or with the "
        "temperature.",
    ),
    Section(
        "noise",
        "Wrong annotations",
        "How much of the tags may be wrong, in pretraining, in SFT, or in both alike?",
        ("noise",),
        (*_BRIEF, "followed.topic", "kl.topic"),
        ("noise", "noise_in_sft", "noise_among"),
        ("noise",),
        ("main/base_standard", "main/base_annotated", "main/sft_standard", "main/sft_anchored"),
        more=((*_REQUESTS, "copied.outside"),),
    ),
    Section(
        "value_only",
        "Keeping the format",
        "In a small share of the examples all of the annotation but its values is trained. How "
        "small may it be, and what does more of it do?",
        ("value_only",),
        (*_BRIEF, "no_annotation", "unclosed", "request.outside", "kl.topic"),
        ("value_only",),
        ("value_only",),
        _MAIN,
    ),
    Section(
        "eps",
        "Adam's epsilon, and what the mask does not reach",
        "The mask keeps annotations out of the loss, but their weights are shared with the "
        "response's. How far do they drift, and what stops it?",
        ("eps", "eps_gentle"),
        (*_BRIEF, "request.outside", "copied.outside", "kl.topic", "value_loss_change"),
        ("eps", "eps_frozen", "eps_embeddings", "eps_head"),
        ("eps",),
        _MAIN,
        "Left: how far anchored SFT moved the prior of the first annotated topic.",
    ),
)
