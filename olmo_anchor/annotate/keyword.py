"""Annotations without a language model: topics, names, actions, places, times, sentiment, language.

English is read with a part-of-speech tagger; of other languages there are keyphrases, names and the
language. Which libraries, why, how well and how fast: docs/keyword.md. They come with
``pip install 'olmo-anchor[annotate]'``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from olmo_anchor.annotate.base import Annotator, Chunk, Outcome
from olmo_anchor.annotate.language import language_name, language_of, script_of
from olmo_anchor.annotate.names import find_names
from olmo_anchor.annotate.phrases import find_actions, find_topics, tagged
from olmo_anchor.annotate.places import find_places
from olmo_anchor.annotate.times import find_times
from olmo_anchor.annotation import Annotation, Schema, Tag
from olmo_anchor.errors import InputError

__all__ = ["KEYWORD_SCHEMA", "KeywordAnnotator"]

KEYWORD_SCHEMA = Schema(
    keys=("topic", "entity", "action", "location", "time", "sentiment", "language"),
    max_tags=8,
    name="keyword",
)

_MOST_CHARS = 4000
"""Of a longer chunk only the start is looked at."""
_MOST = {"topic": 3, "entity": 3, "action": 2}
"""Tags of a key; of the others there is one."""
_SENTIMENT = 0.5
"""Compound score (-1 to 1) from which on VADER's verdict counts as positive or negative."""
_NO_SPACES = frozenset(["zh", "ja", "th", "lo", "km", "my"])
"""Written without spaces between words: no key phrases of these."""

_NOUNS_IN_CAPITALS = frozenset(["de", "lb"])
"""A capital makes no name there, but tells the nouns."""

_LIBRARIES = ("textblob", "lemminflect", "yake", "py3langid", "vaderSentiment")
_PLAIN = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
_PLAIN |= {"\u2013": " - ", "\u2014": " - ", "\u2026": " ... "}
_PHRASE = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]+)*(?: [^\W\d_]{3,}(?:-[^\W\d_]+)*)?")


class KeywordAnnotator(Annotator):
    """Tags as :data:`KEYWORD_SCHEMA` has them, as far as the schema has its keys.

    What it says of a chunk depends on the chunk's text and context alone.

    :raises InputError: when the libraries are not installed, or the schema has none of the keys.
    """

    name = "keyword"

    def __init__(self, schema: Schema = KEYWORD_SCHEMA) -> None:
        self.schema = schema
        self.keys = [key for key in KEYWORD_SCHEMA.keys if key in schema.keys]
        if not self.keys:
            raise InputError(
                f"the schema {schema.name!r} has none of the keys that the keyword annotator "
                f"writes: {', '.join(KEYWORD_SCHEMA.keys)}"
            )
        _check_libraries()

    def annotate(self, chunks: Sequence[Chunk]) -> Sequence[Outcome]:
        return [self._one(chunk) for chunk in chunks]

    def _one(self, chunk: Chunk) -> Annotation:
        text = _plain(chunk.text[:_MOST_CHARS])
        values = _values(text, _plain_context(chunk.context))
        most_chars = self.schema.max_value_chars
        tags = [
            [Tag(key, value) for value in values[key] if len(value) <= most_chars][
                : _MOST.get(key, 1)
            ]
            for key in self.keys
        ]
        return Annotation(_fairly(tags, self.schema.max_tags))


def _values(text: str, context: str) -> Mapping[str, Sequence[str]]:
    code = language_of(text, context)
    names = [] if code in _NOUNS_IN_CAPITALS else find_names(text, context, most=20)
    values: dict[str, Sequence[str]] = dict.fromkeys(KEYWORD_SCHEMA.keys, ())
    values["entity"] = names
    values["language"] = [language_name(code)] if code else []
    if code != "en" and (code or script_of(text) not in ("LATIN", "")):
        if code and code not in _NO_SPACES:
            values["topic"] = _keyphrases(text, code, names)
        return values
    # Latin letters in no certain language: too few for much but names, and read as English.
    tags = tagged(text)
    places = find_places(text, context, names)
    values["topic"] = find_topics(tags, [*names, *places], context)
    values["entity"] = [name for name in names if name not in places]
    values["action"] = find_actions(tags)
    values["location"] = places
    values["time"] = find_times(text)
    values["sentiment"] = [_sentiment(text)]
    return values


def _fairly(tags: Sequence[Sequence[Tag]], most: int) -> tuple[Tag, ...]:
    """Of each key the first tag, then of each the second, until there are ``most``; by key."""
    places = [(rank, key) for key, found in enumerate(tags) for rank in range(len(found))]
    kept = sorted(places)[:most]
    return tuple(tags[key][rank] for rank, key in sorted(kept, key=lambda p: (p[1], p[0])))


def _keyphrases(text: str, language: str, names: Sequence[str]) -> list[str]:
    """YAKE's phrases of one or two words in lower case, none of them a name."""
    taken = {word.lower() for name in names for word in name.split()}
    found: list[str] = []
    for phrase, _ in _extractor(language).extract_keywords(text):
        if language in _NOUNS_IN_CAPITALS and not phrase.istitle():
            continue
        phrase = phrase.lower().strip()
        words = set(phrase.split())
        if _PHRASE.fullmatch(phrase) and not words & taken:
            found.append(phrase)
            taken |= words
    return found


def _plain(text: str) -> str:
    """With straight quotes and spaced dashes; ``str.translate`` takes twenty times as long."""
    for char, plain in _PLAIN.items():
        text = text.replace(char, plain)
    return text


# One of a document: its chunks come one after another.
_plain_context = lru_cache(maxsize=4)(_plain)


def _check_libraries() -> None:
    try:
        for name in _LIBRARIES:
            import_module(name)
    except ImportError as error:
        raise InputError(
            f"the keyword annotator needs {error.name}: pip install 'olmo-anchor[annotate]'"
        ) from None


@lru_cache(maxsize=64)
def _extractor(language: str) -> Any:
    import yake

    return yake.KeywordExtractor(lan=language, n=2, top=12, dedup_lim=0.8)


@lru_cache(maxsize=1)
def _analyser() -> Callable[[str], dict[str, float]]:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    score: Callable[[str], dict[str, float]] = SentimentIntensityAnalyzer().polarity_scores
    return score


def _sentiment(text: str) -> str:
    compound = _analyser()(text)["compound"]
    if compound >= _SENTIMENT:
        return "positive"
    return "negative" if compound <= -_SENTIMENT else "neutral"
