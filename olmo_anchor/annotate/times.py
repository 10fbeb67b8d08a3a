"""When something happens, in English prose: years, months, feasts, seasons, days, hours."""

from __future__ import annotations

import re

__all__ = ["find_times"]

_MONTH = (
    "January|February|April|June|July|August|September|October|November|December|"
    r"(?<=\b[io][nf] )(?:March|May)|(?:March|May)(?=,? \d)|(?<=\d )(?:March|May)|"
    r"(?<=\dth )(?:March|May)"
)
_YEAR = r"1[0-9]{3}|20[0-9]{2}"
_DAYTIME = (
    "morning|forenoon|afternoon|evening|night|midnight|noon|midday|dawn|daybreak|dusk|twilight|"
    "sunset|sunrise|nightfall"
)
_WEEKDAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_HOUR = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|1[0-2]|[1-9]|"
    "One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten|Eleven|Twelve"
)
_ORDINAL = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|"
    "thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|"
    "twenty-first|[0-9]{1,2}(?:st|nd|rd|th)"
)


def _after(*words: str) -> str:
    """One of these stands before; what is looked behind at must have one length."""
    return "(?:" + "|".join(f"(?<=\\b{word} )" for word in words) + ")"


# Nothing that counts things is a year: "in 1200 pieces".
_COUNTED = r"(?! [a-z]+s\b| (?:men|women|people|feet|of)\b|[.,:]?\d|[%-])"

# The telling first: a year says more than a part of the day.
_RULES = (
    rf"(?P<month_year>(?:{_MONTH}),? (?:\d{{1,2}}(?:st|nd|rd|th)?, )?(?:{_YEAR}))\b",
    rf"{_after('in', 'since', 'until', 'till', 'before', 'after', 'year', 'years', 'during')}"
    rf"(?P<year>{_YEAR})\b{_COUNTED}",
    rf"{_after('summer of', 'winter of', 'spring of', 'autumn of', 'fall of', 'war of')}"
    rf"(?P<year_of>{_YEAR})\b",
    r"\bthe (?P<decade>(?:1[0-9]|20)[0-9]0s)\b",
    rf"\b(?P<century>(?:{_ORDINAL}) century)\b",
    rf"\b(?P<month>{_MONTH})\b",
    r"\b(?P<feast>Christmas(?: Eve| Day)?|Easter|Michaelmas|Whitsuntide|Halloween|Thanksgiving|"
    r"Shrovetide|New Year's(?: Eve| Day)?)(?!\w)",
    r"\b(?P<season>summer|winter|autumn|midsummer|midwinter)\b",
    rf"{_after('in', 'in the', 'of', 'of the', 'this', 'last', 'next', 'early', 'late', 'every')}"
    r"(?P<spring>spring)\b(?! of water)",
    rf"\b(?P<weekday>(?:{_WEEKDAY})(?: (?:{_DAYTIME}))?)\b",
    rf"\b(?P<clock>(?:{_HOUR}) o'clock)\b",
    rf"(?<!good )(?<!Good )\b(?P<daytime>{_DAYTIME})\b",
)
_TIME = re.compile("|".join(f"(?:{rule})" for rule in _RULES))
_RANK = {name: rank for rank, name in enumerate(_TIME.groupindex)}


def find_times(text: str, most: int = 1) -> list[str]:
    """The times named in ``text``, the most telling first, then in their order."""
    found = []
    for match in _TIME.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        value = match[kind]
        found.append((_RANK[kind], value.lower() if kind == "clock" else value))
    return list(dict.fromkeys(value for _, value in sorted(found, key=lambda item: item[0])))[:most]
