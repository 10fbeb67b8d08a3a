"""What a TOKENS_DIR has come to when a part is finished, so that the rest can be made later.

The journal's entry of a part tells how many records of the input are dealt with then and how long
``rejected.jsonl`` was: everything later is cut off and done again.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from olmo_anchor.corpus.encode import Encoded
from olmo_anchor.corpus.part_journal import PartJournal
from olmo_anchor.corpus.parts import PART_PATTERNS
from olmo_anchor.corpus.seen import SeenIds
from olmo_anchor.corpus.token_files import read_bounds

__all__ = ["PART_FILES", "State", "resume", "seen_ids"]

PART_FILES = ("ids", "mask", "csv")

_NAMES = 4096


def _zero_counts() -> dict[str, int]:
    names = ("trained_tokens", "truncated", "crlf_normalised", "annotations_dropped")
    return dict.fromkeys((*names, "controls_broken"), 0)


@dataclass
class State:
    """What is done when a part is finished.

    :param consumed: records that are in a finished part or rejected.
    :param rejected_bytes: the length of ``rejected.jsonl`` then.
    """

    consumed: int = 0
    rejected_bytes: int = 0
    counts: dict[str, int] = field(default_factory=_zero_counts)

    def count(self, item: Encoded) -> None:
        self.counts["crlf_normalised"] += item.crlf
        self.counts["annotations_dropped"] += item.annotations_dropped
        self.counts["controls_broken"] += item.controls_broken
        self.counts["truncated"] += item.truncated
        if item.mask is not None:
            self.counts["trained_tokens"] += int(item.mask.sum())

    def entry(self, part: dict[str, Any]) -> dict[str, Any]:
        """The journal's entry for a part that was just finished."""
        return {**part, "state": asdict(self)}


def resume(out: Path, rejected: Path, journal: PartJournal) -> State:
    """The state after the last finished part; what was written later is removed."""
    state = State(**journal.parts[-1]["state"]) if journal.parts else State()
    kept = {part[name]["path"] for part in journal.parts for name in PART_FILES if part[name]}
    for pattern in PART_PATTERNS:
        for path in out.glob(pattern):
            if path.name not in kept:
                path.unlink()
    if rejected.exists():
        os.truncate(rejected, state.rejected_bytes)
        if not state.rejected_bytes:
            rejected.unlink()
    return state


def seen_ids(out: Path, parts: int) -> SeenIds:
    """The ids of all documents in the finished parts."""
    seen = SeenIds()
    for index in range(parts):
        rows = read_bounds(out / f"token_ids_part_{index:04d}.csv.gz")
        while names := [name or "" for _, _, name in islice(rows, _NAMES)]:
            seen.add(names)
    return seen
