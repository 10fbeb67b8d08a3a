"""The language of a chunk: its own where that is certain, otherwise its document's.

py3langid knows 140 languages and weighs them alike, so that of a few words it makes Kabyle or
Kurdish. A language that corpora rarely hold therefore needs near certainty and some text; what is
uncertain is looked at again with the common ones alone, and otherwise has no language at all.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any

__all__ = ["language_name", "language_of", "script_of"]

_MOST_CHARS = 1000
"""Of a text so much is looked at: it decides in the first few hundred."""
_LETTERS = 200
"""From so many letters on a chunk's own language is asked for, before its document's."""
_SURE = 0.7
_RARE_LETTERS = 100
_RARE_SURE = 0.99

_NAMES = """
    ar=Arabic bg=Bulgarian bn=Bengali ca=Catalan cs=Czech cy=Welsh da=Danish de=German el=Greek
    en=English es=Spanish et=Estonian eu=Basque fa=Persian fi=Finnish fr=French ga=Irish
    he=Hebrew hi=Hindi hr=Croatian hu=Hungarian hy=Armenian id=Indonesian is=Icelandic
    it=Italian ja=Japanese ka=Georgian ko=Korean la=Latin lt=Lithuanian lv=Latvian ms=Malay
    nb=Norwegian nl=Dutch nn=Norwegian no=Norwegian pl=Polish pt=Portuguese ro=Romanian
    ru=Russian sk=Slovak sl=Slovenian sq=Albanian sr=Serbian sv=Swedish sw=Swahili ta=Tamil
    te=Telugu th=Thai tl=Tagalog tr=Turkish uk=Ukrainian ur=Urdu vi=Vietnamese zh=Chinese
"""
_COMMON = dict(pair.split("=") for pair in _NAMES.split())
# Written alike, or nearly: what is between them is no doubt about the language.
_SAME = {"yue": "zh", "wuu": "zh", "ary": "ar", "arz": "ar", "nn": "no", "nb": "no"}
_NO_LANGUAGE = "zxx"


def language_name(code: str) -> str:
    """In English, of a common language; the code of another."""
    return _COMMON.get(code, code)


def language_of(text: str, context: str) -> str:
    """The ISO 639 code of the language of ``text``; empty where it is uncertain.

    :param context: how the document begins.
    """
    text, context = text[:_MOST_CHARS], context[:_MOST_CHARS]
    script = script_of(text)
    if script and script_of(context) not in ("", script):
        return _told(text)
    own_first = sum(map(str.isalpha, text)) >= _LETTERS
    return (_told(text) or _told(context)) if own_first else (_told(context) or _told(text))


@lru_cache(maxsize=256)
def _told(text: str) -> str:
    letters = sum(map(str.isalpha, text))
    if not letters:
        return ""
    every, common = _identifiers()
    code, share = _best(every.rank(text))
    if code == _NO_LANGUAGE:
        return ""
    if code in _COMMON:
        if share >= _SURE:
            return code
    elif share >= _RARE_SURE and letters >= _RARE_LETTERS:
        return code
    code, share = _best(common.rank(text))
    return code if share >= _SURE else ""


def _best(ranked: list[tuple[str, Any]]) -> tuple[str, float]:
    shares: dict[str, float] = {}
    for code, share in ranked:
        code = _SAME.get(code, code)
        shares[code] = shares.get(code, 0.0) + float(share)
    return max(shares.items(), key=lambda item: item[1])


@lru_cache(maxsize=256)
def script_of(text: str) -> str:
    """Of most of the first letters: LATIN, CYRILLIC, CJK (with kana); empty without a letter."""
    first = [char for char in text[:_MOST_CHARS] if char.isalpha()][:40]
    names = Counter(unicodedata.name(char, "?").split()[0] for char in first)
    script = names.most_common(1)[0][0] if names else ""
    return "CJK" if script in ("HIRAGANA", "KATAKANA") else script


@lru_cache(maxsize=1)
def _identifiers() -> tuple[Any, Any]:
    """Of all languages, and of the common ones."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    every = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    common = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    common.set_languages([code for code in _COMMON if code in every.labels])
    return every, common
