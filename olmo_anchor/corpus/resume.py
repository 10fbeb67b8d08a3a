"""How far a TOKENS_DIR has come: the journal of its finished parts.

A part counts when its line is in ``parts.jsonl``. The line tells how many records of the input are
dealt with then and how long ``rejected.jsonl`` was: everything later is cut off and done again.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from olmo_anchor.corpus.encode import Encoded, Rejected
from olmo_anchor.corpus.parts import PART_PATTERNS
from olmo_anchor.corpus.tokens import read_bounds
from olmo_anchor.errors import InputError
from olmo_anchor.journal import Journal

__all__ = ["JOURNAL", "State", "check_identity", "refuse_duplicate", "resume", "seen_ids"]

JOURNAL = "parts.jsonl"


def _zero_counts() -> dict[str, int]:
    names = ("trained_tokens", "truncated", "crlf_normalised", "annotations_dropped")
    return dict.fromkeys(names, 0)


@dataclass
class State:
    """What is done when a part is finished.

    :param consumed: records that are in a finished part or rejected.
    :param rejected_bytes: the length of ``rejected.jsonl`` then.
    """

    parts: list[dict[str, Any]] = field(default_factory=list)
    consumed: int = 0
    rejected_bytes: int = 0
    counts: dict[str, int] = field(default_factory=_zero_counts)

    def count(self, item: Encoded) -> None:
        self.counts["crlf_normalised"] += item.crlf
        self.counts["annotations_dropped"] += item.annotations_dropped
        self.counts["truncated"] += item.truncated
        if item.mask is not None:
            self.counts["trained_tokens"] += int(item.mask.sum())

    def since_last_part(self) -> dict[str, Any]:
        """The journal's line for the part that was finished last."""
        return {**asdict(self), "parts": self.parts[-1:]}


def resume(out: Path, rejected: Path, identity: dict[str, Any]) -> State:
    """The state after the last finished part; what was written later is removed.

    :raises InputError: when the folder was begun with other inputs or settings, or a finished part
        is not as it was.
    """
    state = State()
    if (out / JOURNAL).exists():
        with Journal(out / JOURNAL) as journal:
            records = list(journal.records())
        if records:
            check_identity(out, records[0].get("identity", {}), identity)
        for record in records[1:]:
            state = State(**{**record, "parts": state.parts + record["parts"]})
        if not state.parts:
            (out / JOURNAL).unlink()
    kept = [entry[key] for entry in state.parts for key in ("ids", "mask", "csv") if entry[key]]
    for record in kept:
        path = out / record["path"]
        if not path.is_file() or path.stat().st_size != record["size"]:
            raise InputError(f"{path}: missing or changed since it was written; use --overwrite")
    names = {record["path"] for record in kept}
    for pattern in PART_PATTERNS:
        for path in out.glob(pattern):
            if path.name not in names:
                path.unlink()
    if rejected.exists():
        os.truncate(rejected, state.rejected_bytes)
        if not state.rejected_bytes:
            rejected.unlink()
    return state


def check_identity(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """:raises InputError: naming what is not as it was when the folder was begun."""
    changed = [name for name in wanted if found.get(name) != wanted[name]]
    if changed:
        raise InputError(
            f"{out}: was begun with other {', '.join(changed)}; give the same to --resume, or "
            "--overwrite"
        )


def _digest(name: str) -> int:
    # Eight bytes: some 80 bytes of memory per document, and among 10^8 documents a chance of 3 in
    # 10 000 that one of them is taken for another.
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def seen_ids(out: Path, parts: int) -> set[int]:
    """Digests of the ids of all documents in the finished parts."""
    return {
        _digest(name or "")
        for index in range(parts)
        for _, _, name in read_bounds(out / f"token_ids_part_{index:04d}.csv.gz")
    }


def refuse_duplicate(item: Encoded | Rejected, seen: set[int]) -> Encoded | Rejected:
    """Reject a document whose id was there before; remember it otherwise."""
    if not isinstance(item, Encoded):
        return item
    digest = _digest(item.id)
    if digest in seen:
        return Rejected(item.record, item.id, "duplicate id")
    seen.add(digest)
    return item
