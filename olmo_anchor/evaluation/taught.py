"""Which values the SFT data teach, from the labels that lie beside them.

::

    {"id": "sft-00000", "labels": {"topic": "gardens", "persona": "a father", ...}}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError

__all__ = ["read_taught"]


def read_taught(path: Path, label: str) -> frozenset[str]:
    """The values of a label in a JSONL file with one record for each conversation.

    :raises InputError: when it is missing or empty, or a line has no such label.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        raise InputError(
            f"{path}: no such file; it is the labels.jsonl of the SFT data, as `olmo-anchor study "
            "conversations` writes it"
        ) from None
    if not lines:
        raise InputError(f"{path}: empty; it has the labels of the SFT data, one line for each")
    return frozenset(_value(line, label, f"{path}:{n}") for n, line in enumerate(lines, 1))


def _value(line: bytes, label: str, where: str) -> str:
    try:
        record: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    labels = record.get("labels") if isinstance(record, dict) else None
    value = labels.get(label) if isinstance(labels, dict) else None
    if not isinstance(value, str):
        raise InputError(f"{where}: its `labels` have no {label!r}")
    return value
