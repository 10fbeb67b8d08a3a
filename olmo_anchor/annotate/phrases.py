"""Topics and actions of English prose, from its parts of speech.

The tagger is TextBlob's (the one of the ``pattern`` library: a lexicon and Brill's rules), the
infinitives are lemminflect's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

from olmo_anchor.annotate.vocabulary import (
    DULL_ADJECTIVES,
    DULL_NOUNS,
    DULL_VERBS,
    EMPTY_NOUNS,
    SPEECH,
)

__all__ = ["find_actions", "find_topics", "tagged"]

Tagged = list[tuple[str, str]]
"""Words with their tags of the Penn treebank."""

_VERBS = frozenset(["VB", "VBD", "VBG", "VBZ", "VBP", "VBN"])
_HAVE = frozenset(["have", "has", "had", "having"])
_BEEN = frozenset(["be", "been", "being", "is", "was", "were"])
_GOES_ON = frozenset(["DT", "PRP$", "IN", "TO", "RB"])
_WORD = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]+)*")
# The tagger takes contractions apart at the apostrophe, into words that are none.
_SHORT = (
    (re.compile(r"\b(?:ca|wo|sha|Ca|Wo|Sha)n't\b"), "will not"),
    (
        re.compile(
            r"\b(do|did|does|is|are|was|were|would|could|should|had|has|have|need|must)n't\b", re.I
        ),
        r"\1 not",
    ),
    (re.compile(r"\b(?:ai|hai|ain|wa)n't\b"), "is not"),
    (re.compile(r"\bo'clock\b"), "oclock"),
    (re.compile(r"\b[Tt]hou art\b|\b[Aa]rt thou\b"), "thou are"),
    (re.compile(r"\b(I|you|he|she|we|they|it|who|You|He|She|We|They)'(?:ll|d)\b"), r"\1 will"),
    (re.compile(r"'(?:re|m)\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"\b(it|he|she|that|what|there|here|who|It|He|She|That|What|There)'s\b"), r"\1 is"),
)


def tagged(text: str) -> Tagged:
    """The words of ``text`` with their parts of speech; quotes are to be straight ones."""
    for short, long in _SHORT:
        text = short.sub(long, text)
    found: Tagged = _tagger()(text)
    return found


def find_topics(tags: Tagged, names: Collection[str], context: str, most: int = 3) -> list[str]:
    """Nouns, each with the adjective or noun before it where that says more, in lower case.

    Those that come back in the chunk and in ``context`` go first, then pairs, then as they stand.
    """
    taken = {part.lower().removesuffix("'s") for name in names for part in name.split()}
    known = _counts(context)
    here = Counter(word.lower() for word, _ in tags)
    scores: dict[str, float] = {}
    for phrase in _noun_phrases(tags):
        parts = phrase.split()
        if taken.isdisjoint(parts) and taken.isdisjoint(part.rstrip("s") for part in parts):
            repeated = 0.5 * (here[parts[-1]] > 1) + 0.3 * (known[parts[-1]] > 2)
            scores[phrase] = repeated + 0.5 * (len(parts) > 1)
    chosen: list[str] = []
    used: set[str] = set()
    for phrase in sorted(scores, key=lambda phrase: -scores[phrase]):
        if used.isdisjoint(phrase.split()):
            chosen.append(phrase)
            used.update(phrase.split())
    return chosen[:most]


def _noun_phrases(tags: Tagged) -> Iterator[str]:
    before = ("", "")
    for index, (word, tag) in enumerate(tags):
        follows = tags[index + 1][1] if index + 1 < len(tags) else ""
        if tag in ("NN", "NNS") and follows not in ("NN", "NNS", "NNP"):
            noun, (first, kind) = word.lower(), (before[0].lower(), before[1])
            pair = (
                kind in ("JJ", "NN", "NNS")
                and first not in DULL_ADJECTIVES | EMPTY_NOUNS
                and (kind == "JJ" or first not in DULL_NOUNS)
                and _WORD.fullmatch(first)
            )
            if _WORD.fullmatch(noun) and noun not in EMPTY_NOUNS:
                if pair:
                    yield f"{first} {noun}"
                elif noun not in DULL_NOUNS and kind != "NNP":
                    yield noun
        before = (word, tag)


def find_actions(tags: Tagged, most: int = 2) -> list[str]:
    """Infinitives of telling verbs, with the object where one stands right after: ``kiss hand``.

    Those with an object go first, then as they stand.
    """
    found: dict[str, str] = {}
    for index, (word, tag) in enumerate(tags):
        if tag in _VERBS and _WORD.fullmatch(word) and "-" not in word and _acts(tags, index):
            verb = _infinitive(word.lower())
            if verb not in DULL_VERBS and len(verb) > 2:
                thing = "" if verb in SPEECH else _object(tags, index)
                found[verb] = found.get(verb) or thing
    verbs = sorted(found, key=lambda verb: not found[verb])
    return [f"{verb} {found[verb]}".strip() for verb in verbs[:most]]


def _acts(tags: Tagged, index: int) -> bool:
    """Whether a verb is more than an adjective: not "the stooping man", not "was confused"."""
    tag = tags[index][1]
    before = tags[index - 1][1] if index else ""
    after = tags[index + 1][1] if index + 1 < len(tags) else ""
    if tag == "VBN":
        near = {word.lower() for word, _ in tags[max(0, index - 3) : index]}
        if near & _BEEN:
            return False
        # The tagger often takes a simple past for a participle: "Liza embraced", "and crept into".
        past = (
            before in ("NNP", "PRP")
            or (before == "CC" and after in _GOES_ON)
            or (before in ("NN", "NNS") and after in ("DT", "PRP$"))
        )
        return past or after == "PRP" or bool(near & _HAVE)
    return not (before in ("DT", "JJ", "PRP$", "CC", "CD") and after in ("NN", "NNS"))


def _object(tags: Tagged, index: int) -> str:
    """The noun right after a verb, past an article and adjectives."""
    last = ""
    for word, tag in tags[index + 1 : index + 6]:
        if tag in ("NN", "NNS", "NNP"):
            last = word if tag == "NNP" else word.lower()
        elif last or tag not in ("DT", "PRP$", "JJ", "CD"):
            break
    return last if _WORD.fullmatch(last) and last not in EMPTY_NOUNS else ""


@lru_cache(maxsize=64)
def _counts(text: str) -> Counter[str]:
    return Counter(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower()))


@lru_cache(maxsize=1)
def _tagger() -> Any:
    from textblob.en import tag

    return tag


@lru_cache(maxsize=1 << 16)
def _infinitive(verb: str) -> str:
    from lemminflect import getLemma

    return str((getLemma(verb, upos="VERB") or (verb,))[0])
