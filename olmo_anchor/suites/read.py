"""A suite's file to what it is: what is asked, or what becomes of answers that are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.suite import ArmSuite, Suite, TextSuite, build_suite, read_yaml
from olmo_anchor.suites.capability_spec import Capability, read_capability
from olmo_anchor.suites.measures import MEASURES
from olmo_anchor.suites.spec import Benchmark, read_benchmark

__all__ = ["AnySuite", "read_any"]

AnySuite = Suite | ArmSuite | TextSuite | Benchmark | Capability


def read_any(path: Path, changes: Sequence[str] = ()) -> AnySuite:
    """Read a suite of any ``kind``.

    :param changes: ``field=value`` or ``part.field=value``, the value as in YAML; they take the
        place of what the file says.
    :raises InputError: when the file or a change is not as it should be.
    """
    stored = read_yaml(path)
    for change in changes:
        _change(stored, change)
    kind = stored.get("kind", "labels")
    if kind == "benchmark":
        del stored["kind"]
        return read_benchmark(stored, path, MEASURES)
    if kind == "capability":
        del stored["kind"]
        return read_capability(stored, path)
    if kind not in ("labels", "arms", "text"):
        raise InputError(
            f"{path}: kind is {kind!r}; it is 'benchmark', 'capability', 'labels', 'arms' or 'text'"
        )
    return build_suite(stored, path)


def _change(stored: dict[str, Any], change: str) -> None:
    import yaml

    name, equals, text = change.partition("=")
    *parts, last = name.split(".")
    if not (equals and all(parts) and last):
        raise InputError(f"--set {change}: write FIELD=VALUE, such as sample.num_samples=20")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {change}: {' '.join(str(error).split())}") from None
    at = stored
    for part in parts:
        inner = at.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set {change}: {part} has no fields")
        at = inner
    at[last] = value
