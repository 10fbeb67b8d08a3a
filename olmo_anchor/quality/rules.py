"""When two spellings of a value are one value: case, spacing, Unicode, synonyms."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from olmo_anchor.annotation import Schema, Tag
from olmo_anchor.errors import InputError

__all__ = ["PROPER_NAMES", "Rules", "Synonyms", "load_synonyms"]

PROPER_NAMES = ("entity", "language", "location", "name")
"""Keys whose values keep their case unless told otherwise."""

Synonyms = Mapping[str, Mapping[str, str]]
"""For each key, from a variant, as :func:`_matched` writes it, to what stands in its place."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done to every value, in this order: Unicode, spacing, case, synonyms.

    :param case: ``lower``: Python's ``str.lower``, which keeps a word readable where case folding
        (``strasse`` for ``Straße``) would not; ``keep``: as it is.
    :param keep_case: keys whose case is kept with ``lower``, too.
    :param unicode: NFKC writes ligatures, full-width and other compatibility characters as plain
        ones; NFC only puts accents and letters together; ``keep`` does nothing.
    """

    case: Literal["lower", "keep"] = "lower"
    keep_case: tuple[str, ...] = PROPER_NAMES
    unicode: Literal["NFKC", "NFC", "keep"] = "NFKC"
    synonyms: Synonyms = field(default_factory=dict)

    def value(self, key: str, value: str) -> str:
        """A value as it should be; what is so already stays."""
        value = self._plain(key, value)
        known = self.synonyms.get(key)
        return known.get(_matched(value), value) if known else value

    def _plain(self, key: str, value: str) -> str:
        value = " ".join(self._unicode(value).split())
        if self.case == "lower" and key not in self.keep_case:
            # Lower case can come apart into letter and accent, or be a compatibility character.
            value = " ".join(self._unicode(value.lower()).split())
        return value

    def _unicode(self, text: str) -> str:
        return text if self.unicode == "keep" else unicodedata.normalize(self.unicode, text)


def _matched(value: str) -> str:
    """What a value and a synonym are compared by."""
    return " ".join(unicodedata.normalize("NFKC", value).lower().split())


def load_synonyms(path: Path, schema: Schema) -> Synonyms:
    """Read a YAML file of synonyms::

        topic:
          film: [movie, motion picture]      # the first is written in the place of the others
        entity:
          United States: [USA, U.S.]

    A variant matches whatever its case and spacing. What is written in its place is written as it
    stands in the file.

    :raises InputError: when the file is not of this form, has a key that the schema lacks or a
        value that it refuses, or a variant stands for two values.
    """
    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"{path}: cannot be read as YAML: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(stored, dict) or not all(isinstance(of, dict) for of in stored.values()):
        raise InputError(
            f"{path}: synonyms are values under a key, each with a list of its variants, such as "
            "`topic: {film: [movie, motion picture]}`"
        )
    for key in stored:
        if key not in schema.keys:
            raise InputError(
                f"{path}: the key {key!r} is not in the schema {schema.name!r}, which has "
                f"{', '.join(schema.keys)}"
            )
    try:
        return {key: _of_key(key, given, schema) for key, given in stored.items()}
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _of_key(key: str, given: dict[Any, Any], schema: Schema) -> dict[str, str]:
    known: dict[str, str] = {}
    for value, variants in given.items():
        variants = [variants] if isinstance(variants, str) else variants
        if not isinstance(variants, list) or not all(
            isinstance(v, str) for v in (value, *variants)
        ):
            raise ValueError(
                f"{key}: {value!r}: a value has a list of variants, all of them strings; "
                "quote words such as yes, no and numbers"
            )
        if fault := schema.refuse_tag(Tag(key, value)):
            raise ValueError(fault)
        for variant in (value, *variants):
            if (other := known.setdefault(_matched(variant), value)) != value:
                raise ValueError(f"{key}: {variant!r} stands for both {other!r} and {value!r}")
    return known
