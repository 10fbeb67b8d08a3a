"""Append-only JSONL: what is done, what is left, and what could not be used.

A record counts once its line is whole: a process that is killed in the middle of a line leaves a
torn tail, which is cut off at the next opening.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from olmo_anchor.errors import InputError, WorkFailed

__all__ = ["Journal", "Rejects", "check_rejected", "default_share", "rejected_line"]


class Journal:
    """A JSONL file that is appended to, one flushed line per record.

    :raises InputError: on reading, when a whole line is not a JSON object.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_tail(path)
        self._file = path.open("ab")

    def append(self, record: Mapping[str, Any]) -> None:
        self._file.write(orjson.dumps(record, option=_OPTIONS))
        self._file.flush()

    def extend(self, records: list[dict[str, Any]]) -> None:
        """Append several records with one write."""
        self._file.write(b"".join(orjson.dumps(record, option=_OPTIONS) for record in records))
        self._file.flush()

    def records(self) -> Iterator[dict[str, Any]]:
        """The records on disk, in order."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise InputError(f"{self.path}:{number}: not JSON: {error}") from None
                if not isinstance(record, dict):
                    raise InputError(f"{self.path}:{number}: not a JSON object")
                yield record

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


def _cut_torn_tail(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = end = file.seek(0, 2)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                end = start + at + 1
                break
            end = start
        if end < size:
            file.truncate(end)


class Rejects:
    """``rejected.jsonl``: every record that could not be used, where it stood, and why (rule 6).

    The file exists only when there is something in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self._journal: Journal | None = None
        if path.exists():
            self._journal = Journal(path)
            self.reasons.update(str(record["reason"]) for record in self._journal.records())

    @property
    def count(self) -> int:
        return self.reasons.total()

    def add(self, reason: str, /, **where: Any) -> None:
        """:param where: what a person needs to find the record again: file, line, id, ..."""
        if self._journal is None:
            self._journal = Journal(self.path)
        self._journal.append({"reason": reason, **where})
        self.reasons[reason] += 1

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()


def default_share(total: int) -> float:
    """The share of ``total`` records that may be rejected: 1 %, or 10 where that is more.

    So a small file does not fail over one bad record; over half of the records is always too many.
    """
    return min(0.5, max(0.01, 10 / max(total, 1)))


def check_rejected(rejects: Rejects, total: int, max_share: float | None = None) -> None:
    """Fail when more than ``max_share`` of ``total`` records were rejected (rule 6).

    :param max_share: without one, :func:`default_share`.
    :raises WorkFailed: naming the most common reason and the file that holds them all.
    """
    max_share = default_share(total) if max_share is None else max_share
    if rejects.count > max_share * total:
        enough = math.ceil(100 * rejects.count / total) / 100
        raise WorkFailed(
            f"{_share(rejects.count, total)} were rejected, more than the allowed {max_share:.1%}"
            f"{_most_often(rejects.reasons)}. See {rejects.path}; mend them and begin again with "
            f"--overwrite, or let them go with --resume --max-rejected {enough:g}"
        )


def rejected_line(reasons: Mapping[str, int], total: int, path: Path) -> str:
    """What a command says at its end about the records that it could not use.

    :param reasons: how often each; ``path`` is the file that holds them.
    """
    if not reasons:
        return f"rejected: none of {total:,} records"
    return f"rejected: {_share(sum(reasons.values()), total)}{_most_often(reasons)}; see {path}"


def _share(count: int, total: int) -> str:
    share = f"{count / total:.1%}" if 1000 * count >= total else "<0.1%"
    return f"{count:,} of {total:,} records ({share})"


def _most_often(reasons: Mapping[str, int]) -> str:
    reason = max(reasons, key=lambda name: reasons[name])
    return f", most often ({reasons[reason]:,}): {reason}"
