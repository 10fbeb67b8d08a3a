"""Names in prose, by their capitals: no model, no dictionary, any language that writes them so."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

__all__ = ["find_names"]

_WORD = r"[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*"
_TITLE = r"(?:Mr|Mrs|Ms|Dr|St|Prof|Capt|Col|Gen|Lt|Rev|Sr|Jr|Mme|Mlle)\."
_TOKEN = re.compile(rf"(?P<title>{_TITLE})|(?P<word>{_WORD})|(?P<other>[^\w\s]+|\d+)")
_ENDS_SENTENCE = re.compile('[.!?\u2026:;\u2014\u2013\u201c\u2018"(\\[]')
_POSSESSIVE = re.compile(r"['\u2019](?:s|S)?$")
_JOINING = frozenset(["of", "the", "de", "da", "di", "du", "la", "le", "van", "von", "der", "and"])
_NUMERAL = re.compile(r"[IVXLCDM]+")
_NEVER = frozenset(
    w
    for w in """
    i i'm i'll i'd i've o oh ah god mr mrs miss sir madam chapter part book monday tuesday
    wednesday thursday friday saturday sunday january february march april may june july august
    september october november december
    mondays tuesdays wednesdays thursdays fridays saturdays sundays christmas easter over under upon
    yes no ha inc ltd corp co ceo
    so the a an and but or nor if when then there this that these those he she it they we you his
    her my our your their its in on at by for with from to of as not all what who whom whose how why
    where which while after before now here some many most each every both such one two do did does
    is was are were be been have has had will would can could may might shall should let well just
    only even still yet once thus since until though although because however perhaps
    """.strip().split()
)


def find_names(text: str, context: str, most: int = 3) -> list[str]:
    """The names in ``text``, the most frequent first.

    A capital at the start of a sentence counts only when ``context`` has the word with a capital
    inside a sentence, and never in lower case.

    :param context: more text of the same document.
    """
    inside, lower = _capitals(context)
    own_inside, own_lower = _capitals.__wrapped__(text)
    known_only = _is_heading(text)
    inside, lower = inside if known_only else inside | own_inside, lower | own_lower
    found: Counter[str] = Counter()
    for run, starts in _runs(text):
        words = list(run)
        while words and (
            words[0].lower() in lower | _NEVER
            or (starts and len(words) == 1 and words[0] not in inside)
        ):
            words.pop(0)
            starts = False
        while words and (words[-1].lower() in _JOINING | _NEVER):
            words.pop()
        if known_only and not all(word in inside or word in _JOINING for word in words):
            continue
        name = _POSSESSIVE.sub("", " ".join(words)).replace("\u2019", "'")
        if len(name) > 2 and not _NUMERAL.fullmatch(name) and len(words) <= 5:
            found[name] += 1
    return _longest(found, most)


def _longest(found: Counter[str], most: int) -> list[str]:
    """Count a name that is part of a longer one with the longer one."""
    kept: dict[str, int] = {}
    for name, count in sorted(found.items(), key=lambda item: -len(item[0].split())):
        words = set(name.split())
        longer = next((other for other in kept if words <= set(other.split())), None)
        kept[longer or name] = kept.get(longer or name, 0) + count
    order = list(found)
    return sorted(kept, key=lambda name: (-kept[name], order.index(name)))[:most]


def _is_heading(text: str) -> bool:
    words = text.split()
    capitals = sum(word[0].isupper() for word in words)
    ends = text.rstrip()[-1:]
    return len(words) <= 20 and capitals >= 0.6 * len(words) and ends not in tuple(".!?\"'")


def _is_capitalised(word: str) -> bool:
    return word[0].isupper() and (len(word) == 1 or not word.isupper() or len(word) <= 4)


def _tokens(text: str) -> list[tuple[str, bool, bool, int, int]]:
    """Word, whether it is a title, whether it starts a sentence, start and end."""
    out: list[tuple[str, bool, bool, int, int]] = []
    starts = True
    for match in _TOKEN.finditer(text):
        if match["other"]:
            starts = starts or bool(_ENDS_SENTENCE.search(match["other"]))
            continue
        out.append((match.group(), bool(match["title"]), starts, *match.span()))
        starts = False
    return out


@lru_cache(maxsize=64)
def _capitals(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Words with a capital inside a sentence, and words in lower case; headings aside."""
    inside, lower = set(), set()
    prose = "\n\n".join(part for part in text.split("\n\n") if not _is_heading(part))
    for word, title, starts, _, _ in _tokens(prose):
        if not word[0].isupper():
            lower.add(word.lower())
        elif not starts and not title:
            inside.add(word)
            inside.add(_POSSESSIVE.sub("", word))
    return frozenset(inside), frozenset(lower)


def _runs(text: str) -> list[tuple[list[str], bool]]:
    """Runs of capitalised words next to each other, and whether they start a sentence."""
    runs: list[tuple[list[str], bool]] = []
    current: list[str] = []
    begins = False
    last = -1
    for word, title, starts, start, end in _tokens(text):
        near = start - last == 1 and not starts
        if current and not (near or (start - last == 1 and current[-1].endswith("."))):
            runs.append((current, begins))
            current = []
        if title or _is_capitalised(word):
            if not current:
                begins = starts
            current.append(word)
        elif current and near and word in _JOINING and word not in ("and", "the"):
            current.append(word)
        elif current:
            runs.append((current, begins))
            current = []
        # A possessive ends a name.
        if current and _POSSESSIVE.search(word):
            runs.append((current, begins))
            current = []
        last = end
    return [*runs, (current, begins)] if current else runs
