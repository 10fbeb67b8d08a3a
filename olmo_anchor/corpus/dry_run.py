"""What ``olmo-anchor tokenize`` would make of its records, without writing anything.

Every record is read, parsed and compared with the ids before it. Tokenising is what takes time: of
many records only a sample, spread evenly over them, is tokenised. What only that tells (how many
tokens there are, what ``--max-length`` does to a conversation) is an estimate then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from olmo_anchor.corpus.documents import Record
from olmo_anchor.corpus.encode import Encoded, Encoder
from olmo_anchor.corpus.seen import SeenIds
from olmo_anchor.journal import default_share
from olmo_anchor.progress import progress

__all__ = ["Survey", "survey"]

_SAMPLE = 200
_EVERY = 50  # of records whose number is not known


@dataclass
class Survey:
    """What was found.

    :param kept_bytes: of the input's lines that would be used, tokenised or not.
    :param tokenised: how many records of the sample would be used; ``tokens`` from
        ``tokenised_bytes`` are theirs, and ``cut`` of them are longer than ``--max-length``.
    :param complete: whether the sample is every record, and so nothing is an estimate.
    """

    complete: bool
    records: int = 0
    by_source: Counter[int] = field(default_factory=Counter)
    kept: int = 0
    kept_bytes: int = 0
    tokenised: int = 0
    tokenised_bytes: int = 0
    tokens: int = 0
    cut: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def lines(self, out: Path, max_rejected: float | None) -> list[str]:
        """In words, the last line with what would be written."""
        return [*self._rejected(max_rejected), *self._cut(), self._written(out)]

    def _rejected(self, max_rejected: float | None) -> list[str]:
        rejected = self.reasons.total()
        if not rejected:
            return [f"would reject none of {self.records:,} records"]
        share = rejected / self.records
        lines = [f"would reject {rejected:,} of {self.records:,} records ({share:.1%}):"]
        lines += [f"    {times:,} x {reason}" for reason, times in self.reasons.most_common()]
        allowed = default_share(self.records) if max_rejected is None else max_rejected
        if share > allowed:
            lines.append(f"that is more than {allowed:.1%}: it would fail; see --max-rejected")
        return lines

    def _cut(self) -> list[str]:
        if not self.cut:
            return []
        if self.complete:
            return [f"would cut {self.cut:,} of them at --max-length"]
        return [f"would cut about {self.cut / self.tokenised:.1%} of them at --max-length"]

    def _written(self, out: Path) -> str:
        if self.complete or not self.tokenised:
            return f"would write {self.kept:,} documents, {self.tokens:,} tokens, to {out}"
        tokens = self.tokens / self.tokenised_bytes * self.kept_bytes
        return (
            f"would write {self.kept:,} documents, about {tokens:,.0f} tokens (only "
            f"{self.tokenised:,} of them were tokenized), to {out}"
        )


def survey(records: Iterable[Record], encoder: Encoder, total: int | None) -> Survey:
    """Read and check ``records``, of which there are about ``total``."""
    every = _EVERY if total is None else max(1, total // _SAMPLE)
    found, seen = Survey(complete=every == 1), SeenIds()
    with progress("checking records", total) as advance:
        for number, record in enumerate(records):
            sampled = number % every == 0
            item = encoder([record])[0] if sampled else encoder.check(record)
            (item,) = seen.refuse([item])
            found.records += 1
            found.by_source[record.source] += 1
            if isinstance(item, Encoded):
                found.kept += 1
                found.kept_bytes += record.size
                if sampled:
                    found.tokenised += 1
                    found.tokenised_bytes += record.size
                    found.tokens += len(item.ids)
                    found.cut += item.truncated
            else:
                found.reasons[item.reason] += 1
            advance(1)
    return found
