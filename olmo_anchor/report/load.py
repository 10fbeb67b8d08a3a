"""Read the summaries that a report is made of. A report computes nothing that they do not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.errors import InputError

__all__ = [
    "ARM_NAMES",
    "Headline",
    "Summary",
    "alike",
    "load_summaries",
    "maximum",
    "mean",
    "names",
]

ARM_NAMES = {
    "base_standard": "base, standard",
    "base_annotated": "base, annotated",
    "sft_standard": "SFT, standard",
    "sft_anchored": "SFT, anchored",
}
"""The arms of the built-in comparison in the order of a table; others follow by name."""


_ENTROPY = "_entropy_bits"


@dataclass(frozen=True)
class Headline:
    key: str
    title: str
    unit: str


@dataclass(frozen=True)
class Summary:
    """One ``summary.json``.

    :param name: of the folder, such as ``seed-0``; with those above it where two have one name.
    :param times: the stages of the run that made it, where they were kept.
    """

    name: str
    folder: Path
    content: dict[str, Any]
    times: dict[str, Any] | None = field(default=None)

    @property
    def arms(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.content["arms"]
        order = [name for name in ARM_NAMES if name in found]
        return {name: found[name] for name in [*order, *sorted(set(found) - set(order))]}

    @property
    def label(self) -> str | None:
        """The label whose entropy was measured: ``topic`` for a ``topic_entropy_bits``."""
        keys = (key for arm in self.arms.values() for key in arm)
        found = next((key for key in keys if key.endswith(_ENTROPY)), None)
        return found.removesuffix(_ENTROPY) if found else None

    @property
    def headline(self) -> Headline:
        """The measure of diversity that the page leads with."""
        if self.label is None:
            return Headline("embedding_dissimilarity", "embedding dissimilarity", "")
        return Headline(f"{self.label}{_ENTROPY}", f"{self.label} entropy", "bits")

    def diversity(self, arm: str) -> dict[str, Any] | None:
        """``{value, low, high, n}`` of the headline measure; None where the arm lacks it."""
        found = self.arms.get(arm, {}).get(self.headline.key)
        return found if found and found["value"] is not None else None


def load_summaries(folders: list[Path]) -> list[Summary]:
    """:raises InputError: when a folder has no whole ``summary.json``, or is given twice."""
    return [_load(folder, name) for folder, name in zip(folders, names(folders), strict=True)]


def names(folders: list[Path]) -> list[str]:
    """The last parts of each path, as many as tell them apart.

    :raises InputError: when a folder is given twice.
    """
    paths = [folder.resolve() for folder in folders]
    if twice := [folder for at, folder in enumerate(folders) if paths[at] in paths[:at]]:
        raise InputError(f"{twice[0]}: is given twice, and would count twice")
    found: list[str] = []
    for depth in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        found = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(found)) == len(found):
            break
    return found


def _load(folder: Path, name: str) -> Summary:
    path = folder / "summary.json"
    try:
        content = orjson.loads(path.read_bytes())
    except OSError:
        raise InputError(
            f"{folder}: there is neither a summary.json, which olmo-anchor evaluate makes, nor the "
            "metrics.jsonl of a training run"
        ) from None
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}); run olmo-anchor evaluate again") from None
    if not isinstance(content, dict) or not isinstance(content.get("arms"), dict):
        raise InputError(f"{path}: not a summary: it has no 'arms'")
    times = folder / "times.json"
    kept = orjson.loads(times.read_bytes()) if times.is_file() else None
    return Summary(name, folder, content, kept)


def alike(summaries: list[Summary]) -> list[Summary]:
    """Those with the headline measure of the first: no others can stand in one mean or figure."""
    return [summary for summary in summaries if summary.headline == summaries[0].headline]


def maximum(summaries: list[Summary]) -> float | None:
    """The most that the headline measure can be, where it is known and one for all."""
    found = {summary.content.get("max_entropy_bits") for summary in summaries}
    return found.pop() if len(found) == 1 else None


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
