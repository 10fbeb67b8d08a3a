"""Whether files were made with the settings that the grid has now: an arm that was defined anew
and whose stage then failed still has those of before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

__all__ = ["stale"]

_ABSENT = object()


def stale(options: Sequence[str], manifest: Mapping[str, Any]) -> str | None:
    """The first setting that differs, as a reason; None where none does.

    :param options: of a command, each ``--SETTING=VALUE``.
    :param manifest: of what it wrote, with its whole ``config``. Settings that the manifest does
        not have are not compared.
    """
    for option in options:
        name, _, value = option.removeprefix("--").partition("=")
        found = _at(manifest.get("config"), name)
        if found is not _ABSENT and _plain(found) != _plain(value):
            return f"what lies there has {name} {found}, the grid says {value}"
    return None


def _at(found: Any, name: str) -> Any:
    for key in name.split("."):
        if isinstance(found, Mapping):
            found = found.get(key, found.get(key.replace("-", "_"), _ABSENT))
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return _ABSENT
    return found


def _plain(value: Any) -> Any:
    """Equal for ``1e-8``, ``"1e-8"`` and ``0.00000001``, and for a list and its JSON."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return float(value) if isinstance(value, int | float) else value
