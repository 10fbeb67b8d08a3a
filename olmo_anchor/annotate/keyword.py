"""Annotations without a language model: keyphrases, names, language and sentiment.

Topics are YAKE keyphrases (statistics of the chunk alone), sentiment is VADER's (English only),
language is py3langid's. They come with ``pip install 'olmo-anchor[annotate]'``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from olmo_anchor.annotate.base import Annotator, Chunk, Outcome
from olmo_anchor.annotate.names import find_names
from olmo_anchor.annotation import Annotation, Schema, Tag
from olmo_anchor.errors import InputError

__all__ = ["KEYWORD_SCHEMA", "KeywordAnnotator"]

KEYWORD_SCHEMA = Schema(
    keys=("topic", "entity", "language", "sentiment"), max_tags=8, name="keyword"
)

_MOST_CHARS = 4000
"""Of a longer chunk only the start is looked at."""
_TELLS_LANGUAGE = 200
"""Characters from which on a chunk's language is told by itself."""
_TOPICS = 3
_ENTITIES = 3
_SENTIMENT = 0.3
"""Compound score (-1 to 1) from which on VADER's verdict counts as positive or negative."""


def _words(text: str) -> list[str]:
    return text.split()


_LANGUAGES = dict(
    pair.split("=")
    for pair in _words("""
    ar=Arabic bg=Bulgarian bn=Bengali ca=Catalan cs=Czech cy=Welsh da=Danish de=German el=Greek
    en=English es=Spanish et=Estonian eu=Basque fa=Persian fi=Finnish fr=French ga=Irish
    he=Hebrew hi=Hindi hr=Croatian hu=Hungarian hy=Armenian id=Indonesian is=Icelandic
    it=Italian ja=Japanese ka=Georgian ko=Korean la=Latin lt=Lithuanian lv=Latvian ms=Malay
    nb=Norwegian nl=Dutch nn=Norwegian no=Norwegian pl=Polish pt=Portuguese ro=Romanian
    ru=Russian sk=Slovak sl=Slovenian sq=Albanian sr=Serbian sv=Swedish sw=Swahili ta=Tamil
    te=Telugu th=Thai tl=Tagalog tr=Turkish uk=Ukrainian ur=Urdu vi=Vietnamese zh=Chinese
    """)
)

# Frequent verbs, and words that any prose has: a keyphrase needs none of them.
_DULL = frozenset(
    _words("""
    said says say asked answered replied cried exclaimed told tell thought think know knew went
    go came come gave give took take taken got get made make put set let looked look saw see
    seen heard hear felt feel found find left began begun seemed seem became turned stood sat
    lay lie fell rose ran run brought bring held hold kept keep spoke speak walked passed called
    wanted want done old young little great good much many long last first man men woman women
    people thing things time times day days way nothing something anything everything one two
    three half quite upon away back round still even ever never shall must would could should
    might dear sort kind lot bit yes ain don won't can't don't didn't wasn't couldn't wouldn't
    hadn't isn't end years year call talk monday tuesday wednesday thursday friday saturday
    sunday january february march april may june july august september october november december
    i'm i'll i've i'd it's that's he's she's you're they're we're what's there's let's miss
    mister thou thee thy thine didst dost hath art ye aye
    """)
)
_PHRASE = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]+)*(?: [^\W\d_]{3,}(?:-[^\W\d_]+)*)?")
_NO_PHRASE = re.compile(r"\b\w+'(?!s\b)\w+|\b[IVXLCDM]+\b")
"""Contractions, which the extractor would take apart, and Roman numerals."""
_QUOTES = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": " - ",
        "\u2014": " - ",
    }
)


class KeywordAnnotator(Annotator):
    """Tags ``topic``, ``entity``, ``language``, ``sentiment``, as far as the schema has them.

    :raises InputError: when the libraries are not installed, or the schema has none of the keys.
    """

    name = "keyword"
    parallel = True

    def __init__(self, schema: Schema = KEYWORD_SCHEMA) -> None:
        self.schema = schema
        self.keys = [key for key in KEYWORD_SCHEMA.keys if key in schema.keys]
        if not self.keys:
            raise InputError(
                f"the schema {schema.name!r} has none of the keys that the keyword annotator "
                f"writes: {', '.join(KEYWORD_SCHEMA.keys)}"
            )
        _libraries()

    def annotate(self, chunks: Sequence[Chunk]) -> Sequence[Outcome]:
        return [self._one(chunk) for chunk in chunks]

    def _one(self, chunk: Chunk) -> Annotation:
        text = chunk.text[:_MOST_CHARS].translate(_QUOTES)
        told = text if len(text) >= _TELLS_LANGUAGE else chunk.context or text
        code = _language(told[:1000]) if any(map(str.isalpha, told[:1000])) else ""
        names = find_names(text, chunk.context.translate(_QUOTES), most=20)
        values: dict[str, list[str]] = {
            "topic": topics(text, code, names),
            "entity": names[:_ENTITIES],
            "language": [_LANGUAGES.get(code, code)] if code else [],
            "sentiment": [_sentiment(text)] if code in ("en", "") else [],
        }
        longest = self.schema.max_value_chars
        tags = [Tag(key, v) for key in self.keys for v in values[key] if len(v) <= longest]
        return Annotation(tuple(tags[: self.schema.max_tags]))


def topics(text: str, language: str, names: Sequence[str]) -> list[str]:
    """Up to three keyphrases of one or two words in lower case, none of them a name."""
    taken = {word.lower().removesuffix("'s") for name in names for word in name.split()}
    found: list[str] = []
    for phrase, _ in _extractor(language).extract_keywords(_NO_PHRASE.sub(" ", text)):
        phrase = phrase.lower().strip()
        words = set(phrase.split())
        if (
            not _PHRASE.fullmatch(phrase)
            or words & _DULL
            or any(word in taken or word.rstrip("s") in taken for word in words)
            or (language == "en" and _is_clause(phrase))
        ):
            continue
        found.append(phrase)
        taken |= words
        if len(found) == _TOPICS:
            break
    return found


def _is_clause(phrase: str) -> bool:
    """Whether an English phrase has an adverb, or ends like a verb."""
    first, *rest = phrase.split()
    last = rest[-1] if rest else first
    return first.endswith("ly") or last.endswith(("ly", "ed")) or bool(rest and last[-3:] == "ing")


def _libraries() -> tuple[Any, Any, Any]:
    try:
        import py3langid
        import yake
        from vaderSentiment import vaderSentiment
    except ImportError as error:
        raise InputError(
            f"the keyword annotator needs {error.name}: pip install 'olmo-anchor[annotate]'"
        ) from None
    return yake, py3langid, vaderSentiment


@lru_cache(maxsize=64)
def _extractor(language: str) -> Any:
    return _libraries()[0].KeywordExtractor(lan=language, n=2, top=12, dedup_lim=0.8)


@lru_cache(maxsize=256)
def _language(text: str) -> str:
    return str(_libraries()[1].classify(text)[0])


@lru_cache(maxsize=1)
def _analyser() -> Callable[[str], dict[str, float]]:
    score: Callable[[str], dict[str, float]] = (
        _libraries()[2].SentimentIntensityAnalyzer().polarity_scores
    )
    return score


def _sentiment(text: str) -> str:
    compound = _analyser()(text)["compound"]
    if compound >= _SENTIMENT:
        return "positive"
    return "negative" if compound <= -_SENTIMENT else "neutral"
