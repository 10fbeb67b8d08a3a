"""Schemas in files: names of keys alone, or what a language model is told about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmo_anchor.annotation import PAPER_SCHEMA, Annotation, Example, Meaning, Schema
from olmo_anchor.corpus.schema_file import load_schema, schema_of, schema_record
from olmo_anchor.errors import InputError

DESCRIBED = """
keys:
  topic: the subject,
    in a few words
  entity:
    description: who is named
    examples: [Anne Bonny, 1984]
  time:
instructions: Be brief.
max_tags: 3
examples:
  - text: |
      Anne Bonny was hanged.
    annotation: |
      topic:piracy
      entity:Anne Bonny
"""


def load(folder: Path, text: str) -> Schema:
    path = folder / "mine.yaml"
    path.write_text(text)
    return load_schema(path)


def test_names_of_keys_are_enough(tmp_path: Path) -> None:
    schema = load(tmp_path, '{"keys": ["topic", "name"], "max_tags": 8}')
    assert schema == Schema(keys=("topic", "name"), max_tags=8, name="mine")


def test_keys_may_be_described(tmp_path: Path) -> None:
    schema = load(tmp_path, DESCRIBED)
    assert schema == Schema(
        keys=("topic", "entity", "time"),
        max_tags=3,
        name="mine",
        meanings={
            "topic": Meaning("the subject, in a few words"),
            "entity": Meaning("who is named", ("Anne Bonny", "1984")),
        },
        instructions="Be brief.",
        examples=(
            Example(
                "Anne Bonny was hanged.",
                Annotation.of(("topic", "piracy"), ("entity", "Anne Bonny")),
            ),
        ),
    )


def test_a_manifest_gives_the_schema_back(tmp_path: Path) -> None:
    described = load(tmp_path, DESCRIBED)
    again = schema_of(schema_record(described), "x")
    assert schema_record(again) == schema_record(described)
    assert (again.keys, again.instructions) == (described.keys, described.instructions)
    # A plain schema is recorded as it always was.
    assert schema_record(Schema(keys=("topic",))) == {
        "keys": ["topic"],
        "max_tags": 16,
        "max_value_chars": 80,
        "name": "custom",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[topic]", "a list `keys`"),
        ("keys: topic", "a list `keys`"),
        ("keys: {Topic: x}", "not of the form"),
        ("keys: {topic: 5}", "'topic' has a description"),
        ("keys: {topic: {meaning: x}}", "'topic' has a description"),
        ("keys: {topic: {examples: x}}", "`examples` is a list"),
        ("keys: [topic]\ninstructions: 5", "`instructions` of a schema is a string"),
        ("keys: [topic]\nexamples: [x]", "has a `text` and an `annotation`"),
        ("keys: [topic]\nexamples: [{text: x, annotation: y}]", "'y': there is no ':'"),
        ("keys: [topic]\nexamples: [{text: x, annotation: 'a:b'}]", "'a' is not in the schema"),
        ("keys: [topic]\nmeanings: {}", "has no 'meanings'"),
    ],
)
def test_a_wrong_schema_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/mine.yaml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "data_prep" / "schemas").glob("*.yaml")), ids=str
)
def test_the_schemas_of_data_prep_describe_every_key(path: Path) -> None:
    schema = load_schema(path)
    assert set(schema.meanings) == set(schema.keys) != set(PAPER_SCHEMA.keys)
    assert all(meaning.description and meaning.examples for meaning in schema.meanings.values())
    assert schema.examples
