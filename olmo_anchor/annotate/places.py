"""Where something happens, in English prose: what stands after "in", "into", "through".

The gazetteers weigh 20 to 180 MB, and a chapter's Meryton or Coralio stands in none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from olmo_anchor.annotate.vocabulary import KNOWN_PLACES, PLACES

__all__ = ["find_places"]

_NAME = r"[A-Z][^\W\d_]+(?:[ -](?:of )?[A-Z][^\W\d_]+)*"
_INSIDE = re.compile(
    rf"\b(?:[Ii]n|[Ii]nto|through|throughout|across|outside) ({_NAME})(?!\.?\w|'\w| [A-Z])"
)
# What people do, and places do not.
_PERSON = re.compile(
    rf"\b(?:(?:said|cried|asked|replied|with|Mr\.|Mrs\.|Miss|Sir|Lady|Dr\.|by) ({_NAME})|"
    rf"({_NAME}) (?:said|asked|cried|replied|looked|went|came|took|had|felt|saw|knew|thought)\b)"
)
_NO_PLACE = re.compile(
    r"(?:[A-Z]\w+ish|French|Dutch|Latin|Greek|Hebrew|Arabic|German|Russian|Italian|American|"
    r"Indian|Roman|European|Christian|African|Norwegian|\w+ese|God|(?:Jesus )?Christ|Lord|"
    r"Heaven|Nature|Providence|Lent|Easter|Christmas|Fate|Love|Death|Time|Hamlet|\w+day)"
)
_FIRST = frozenset(["Mount", "Lake", "Cape", "Port", "Fort"])
_LAST = frozenset(["square"])
_WITHIN = re.compile(
    r"\b(?:in|into|through|across|outside|inside|at|near|on|along|from|to|towards?) "
    r"(?:the|a|an|his|her|their|my|our|this|that) (?:[a-z]+ )?"
    rf"({'|'.join(sorted(PLACES, key=lambda noun: (-len(noun), noun)))})\b"
    r"(?! (?:of (?:mind|his|her|my|their|life|the whole)|door|window|gate)|[-'])",
    re.IGNORECASE,
)


def find_places(text: str, context: str, names: Iterable[str], most: int = 1) -> list[str]:
    """The places in ``text``: names first, then what is called by a common noun.

    A name is a place when it says so ("Baker Street"), or when it stands after "in" or the like,
    here or elsewhere in ``context``: one time in five, and more often than it speaks or acts.
    """
    seen, own = _evidence(context), _evidence.__wrapped__(text)

    def is_place(name: str) -> bool:
        first, *rest = name.split()
        if rest and "." not in first and (first in _FIRST or rest[-1].lower() in PLACES | _LAST):
            return True
        inside = seen[name] + own[name]
        return inside > 0 and 5 * inside >= context.count(name) + text.count(name)

    found = [name for name in names if name in KNOWN_PLACES or is_place(name)]
    found += map(str.lower, _WITHIN.findall(text))
    return list(dict.fromkeys(found))[:most]


@lru_cache(maxsize=64)
def _evidence(text: str) -> Counter[str]:
    """Of each name, how often it stands as a place, less how often as a person."""
    seen: Counter[str] = Counter(
        name for name in _INSIDE.findall(text) if not _NO_PLACE.fullmatch(name)
    )
    if seen:
        for pair in _PERSON.findall(text):
            seen[pair[0] or pair[1]] -= 1
    return seen
