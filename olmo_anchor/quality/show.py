"""``olmo-anchor annotations show``: annotations beside the text that they are about."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from olmo_anchor.annotate.task import text_hash
from olmo_anchor.annotation import Tag
from olmo_anchor.errors import InputError
from olmo_anchor.quality.read import AnnotationsDir, Entry
from olmo_anchor.quality.text import TextReader

__all__ = ["ShowConfig", "Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One chunk, to be printed.

    :param text: None when there is none to show.
    :param remark: what is wrong with the text.
    """

    entry: Entry
    text: str | None
    remark: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowConfig:
    """Pick chunks of an ANNOTATIONS_DIR.

    :param grep: a regular expression; only what it is found in is shown.
    :param within: where it is looked for: ``tags`` (each as ``key:value``; of rejected chunks the
        reason), ``text`` or ``either``.
    :param key: look at the tags of this key alone, and at chunks that have it.
    :param limit: how many chunks to show.
    :param seed: pick them at random from all that match.
    :param rejected: show rejected chunks.
    :param tokens: where the TOKENS_DIR lies, unless it is where it was.
    """

    annotations: Path
    grep: str | None = None
    ignore_case: bool = False
    within: str = "tags"
    key: str | None = None
    limit: int = 10
    seed: int | None = None
    rejected: bool = False
    tokens: Path | None = None

    def pattern(self) -> re.Pattern[str] | None:
        """:raises InputError: when ``grep`` is no regular expression."""
        if self.grep is None:
            return None
        try:
            return re.compile(self.grep, re.IGNORECASE if self.ignore_case else 0)
        except re.error as error:
            raise InputError(
                f"--grep {self.grep!r}: not a regular expression: {error}; a backslash before a "
                "character takes it literally"
            ) from None

    def pick(self) -> tuple[list[Shown], int | None, str | None]:
        """The chunks, how many match in all where that is known, and what to be wary of.

        :raises InputError: when a folder is not what it should be, or the options do not fit.
        """
        pattern = self.pattern()
        annotations = AnnotationsDir.open(self.annotations)
        self._check(annotations)
        tokens = annotations.tokens(self.tokens)
        reader = TextReader(tokens, annotations.min_chunk_tokens)
        warning = None
        if not annotations.made_from(tokens):
            warning = f"{tokens.folder}: not the tokens that {self.annotations} was made from"
        entries = annotations.rejected() if self.rejected else annotations.records()
        if self.key is not None:
            entries = (entry for entry in entries if _tags(entry, self.key))
        if pattern is not None:
            entries = (entry for entry in entries if self._found(pattern, entry, reader))
        picked, total = self._sample(entries)
        return [_shown(entry, reader) for entry in picked], total, warning

    def _check(self, annotations: AnnotationsDir) -> None:
        if self.rejected and self.key is not None:
            raise InputError("--key and --rejected exclude each other: a rejected chunk has no tag")
        if self.key is not None and self.key not in annotations.schema.keys:
            raise InputError(
                f"{self.annotations}: has no key {self.key!r}; its schema has "
                f"{', '.join(annotations.schema.keys)}"
            )

    def _found(self, pattern: re.Pattern[str], entry: Entry, reader: TextReader) -> bool:
        if self.within != "text":
            said = [entry.reason] if entry.reason else list(map(str, _tags(entry, self.key)))
            if any(map(pattern.search, said)):
                return True
        if self.within == "tags" or entry.place is None:
            return False
        return bool(pattern.search(reader.text(entry.place) or ""))

    def _sample(self, entries: Iterator[Entry]) -> tuple[list[Entry], int | None]:
        """In their order; without a seed nothing is read past the last one, so none is counted."""
        if self.seed is None:
            first = list(islice(entries, self.limit))
            return first, len(first) if len(first) < self.limit else None
        return _reservoir(entries, self.limit, random.Random(self.seed))


def _tags(entry: Entry, key: str | None) -> list[Tag]:
    tags = entry.annotation.tags if entry.annotation is not None else ()
    return [tag for tag in tags if key in (None, tag.key)]


def _reservoir(
    entries: Iterable[Entry], size: int, generator: random.Random
) -> tuple[list[Entry], int]:
    """So many of them, each with the same chance, in their order; how many there were."""
    kept: list[tuple[int, Entry]] = []
    total = 0
    for number, entry in enumerate(entries):
        total = number + 1
        at = number if number < size else generator.randrange(total)
        if at < size:
            kept[at : at + 1] = [(number, entry)]
    return [entry for _, entry in sorted(kept, key=lambda pair: pair[0])], total


def _shown(entry: Entry, reader: TextReader) -> Shown:
    if entry.place is None:
        return Shown(entry, None, None)
    text = reader.text(entry.place)
    if text is None:
        return Shown(entry, None, "there is no such chunk in these tokens")
    if entry.text_hash not in (None, text_hash(text)):
        return Shown(entry, text, "this is not the text that was annotated")
    return Shown(entry, text, None)
