"""What judges a response: any callable that a suite names as ``package.module:attribute``.

The suite names it, so that evaluation knows no judge: the story world's exact classifier, and
whatever a user writes, are found the same way.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from olmo_anchor.errors import InputError

__all__ = ["Judge", "Verdict", "load_judge"]


@dataclass(frozen=True)
class Verdict:
    """What a judge says of one response.

    :param labels: one label per attribute; None where the judge cannot tell.
    :param valid: the response is what was asked for, well formed.
    :param styled: it has the style that the SFT data teach.
    :param reasons: why a label is None or the response not valid.
    """

    labels: Mapping[str, str | None]
    valid: bool
    styled: bool
    reasons: Mapping[str, str] = field(default_factory=dict)


class Judge(Protocol):
    name: str
    values: Mapping[str, Sequence[str]]
    """All labels that an attribute can have; empty where they cannot be listed."""

    def __call__(self, response: str) -> Verdict: ...


def load_judge(path: str) -> Judge:
    """Import ``package.module:attribute``.

    :raises InputError: when there is no such thing.
    """
    module, _, attribute = path.partition(":")
    try:
        return cast(Judge, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"the judge {path!r} cannot be imported: {error}; write package.module:attribute, and "
            "for a module of your own let PYTHONPATH name its folder"
        ) from None
