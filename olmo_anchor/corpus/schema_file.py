"""A schema in a YAML or JSON file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from olmo_anchor.annotation import Example, Meaning, Schema, parse
from olmo_anchor.errors import InputError

__all__ = ["load_schema", "schema_of", "schema_record"]


def load_schema(path: Path) -> Schema:
    """Read a schema: ``keys``, and whatever else of :class:`Schema` is wanted.

    ::

        keys: [topic, name]             # the names alone, or each with what it means:
        keys:
          topic: the main subject       # a description
          name: {description: a person, examples: [Anne Bonny]}
        instructions: The text is ...
        examples: [{text: ..., annotation: "topic:..."}]
        max_tags: 8
        max_value_chars: 60
        name: mine                      # without one, the file's

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
    if not isinstance(stored, dict) or not isinstance(stored.get("keys"), list | dict):
        raise InputError(
            f"{where}: a schema is an object with a list `keys`, such as [topic, name], or with an "
            "object `keys` that describes them"
        )
    if unknown := set(stored) - set(_FIELDS):
        raise InputError(f"{where}: a schema has no {min(unknown)!r}; it has {sorted(_FIELDS)}")
    for name in ("name", "instructions"):
        if not isinstance(stored.get(name, ""), str):
            raise InputError(f"{where}: the `{name}` of a schema is a string")
    try:
        keys = stored["keys"]
        described = keys if isinstance(keys, dict) else {}
        built = {
            **stored,
            "keys": tuple(keys),
            "meanings": {key: _meaning(key, given) for key, given in described.items() if given},
            "examples": tuple(map(_example, stored.get("examples", ()))),
        }
        return Schema(**built)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from None


_FIELDS = [each.name for each in fields(Schema) if each.name != "meanings"]


def _meaning(key: str, given: Any) -> Meaning:
    if isinstance(given, str):
        return Meaning(" ".join(given.split()))
    if not isinstance(given, dict) or set(given) - {"description", "examples"}:
        raise ValueError(
            f"the key {key!r} has a description, or an object of `description` and `examples`"
        )
    description, examples = given.get("description", ""), given.get("examples", [])
    if not isinstance(description, str) or not isinstance(examples, list):
        raise ValueError(f"the key {key!r}: `description` is a string and `examples` is a list")
    return Meaning(" ".join(description.split()), tuple(map(str, examples)))


def _example(given: Any) -> Example:
    text = given.get("text") if isinstance(given, dict) else None
    annotation = given.get("annotation") if isinstance(given, dict) else None
    if not isinstance(text, str) or not isinstance(annotation, str):
        raise ValueError("an example has a `text` and an `annotation`, one key:value per line")
    parsed = parse(annotation)
    if parsed.dropped:
        line, reason = parsed.dropped[0].line, parsed.dropped[0].reason
        raise ValueError(f"the annotation of an example: {line.strip()!r}: {reason}")
    return Example(text.strip(), parsed.annotation)


def schema_record(schema: Schema) -> dict[str, Any]:
    """The JSON form, for manifests; :func:`schema_of` reads it back."""
    record: dict[str, Any] = {
        "keys": list(schema.keys),
        "max_tags": schema.max_tags,
        "max_value_chars": schema.max_value_chars,
        "name": schema.name,
    }
    if schema.meanings:
        known = {key: schema.meanings.get(key, Meaning()) for key in schema.keys}
        record["keys"] = {
            key: {"description": meaning.description, "examples": list(meaning.examples)}
            for key, meaning in known.items()
        }
    if schema.instructions:
        record["instructions"] = schema.instructions
    if schema.examples:
        record["examples"] = [
            {"text": each.text, "annotation": each.annotation.text()} for each in schema.examples
        ]
    return record
