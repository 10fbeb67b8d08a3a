"""A schema in a YAML or JSON file."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from olmo_anchor.annotation import Schema
from olmo_anchor.errors import InputError

__all__ = ["load_schema", "schema_of", "schema_record"]


def load_schema(path: Path) -> Schema:
    """Read ``keys``, and optionally ``max_tags``, ``max_value_chars`` and ``name``.

    :raises InputError: when the file is missing, not YAML or JSON, or not a schema.
    """
    import yaml

    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as YAML or JSON: {reason}") from None
    if isinstance(stored, dict):
        stored.setdefault("name", path.stem)
    return schema_of(stored, str(path))


def schema_of(stored: Any, where: str) -> Schema:
    """Build a schema from its JSON form; ``where`` names it in errors.

    :raises InputError: when it is not one.
    """
    names = {field.name for field in fields(Schema)}
    if not isinstance(stored, dict) or not isinstance(stored.get("keys"), list):
        raise InputError(
            f"{where}: a schema is an object with a list `keys`, such as [topic, name]"
        )
    if unknown := set(stored) - names:
        raise InputError(f"{where}: a schema has no {min(unknown)!r}; it has {sorted(names)}")
    try:
        return Schema(**{**stored, "keys": tuple(stored["keys"])})
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from None


def schema_record(schema: Schema) -> dict[str, Any]:
    """The JSON form, for manifests."""
    return {**asdict(schema), "keys": list(schema.keys)}
