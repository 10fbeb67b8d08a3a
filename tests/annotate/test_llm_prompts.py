"""The prompts: what they say of a schema, and that a text cannot become part of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmo_anchor.annotate.prompts import Prompt, PromptName, described_paper_schema
from olmo_anchor.annotation import PAPER_SCHEMA, Annotation, Example, Meaning, Schema

pytest.importorskip("jinja2")

SCHEMA = Schema(
    keys=("strategy", "theorem"),
    max_tags=5,
    max_value_chars=40,
    meanings={"strategy": Meaning("the plan", ("induction", "a counterexample"))},
    instructions="Never give a result.",
    examples=(Example("Pair the terms.", Annotation.of(("strategy", "pairing"))),),
)
NAMES: tuple[PromptName, ...] = ("chunk", "response")


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_says_what_the_schema_says(name: PromptName) -> None:
    said = Prompt(name, SCHEMA).render("x")
    assert "\n- strategy: the plan (induction; a counterexample)\n- theorem\n" in said
    assert "at most 40 characters" in said
    assert "never write more than 5." in said
    assert "\nNever give a result.\n" in said
    word = {"chunk": "passage", "response": "answer"}[name]
    assert f"<{word}>\nPair the terms.\n</{word}>\n\nstrategy:pairing\n" in said


@pytest.mark.parametrize("name", NAMES)
def test_the_text_comes_last_and_all_before_it_is_the_same(name: PromptName) -> None:
    prompt = Prompt(name, SCHEMA)
    one, two = prompt.render("first {{ text }} <b>&amp;"), prompt.render("second")
    assert "\nfirst {{ text }} <b>&amp;\n" in one
    head, tail = two.split("second")
    assert one == f"{head}first {{{{ text }}}} <b>&amp;{tail}"
    assert len(tail) < 12
    assert "{%" not in one
    assert "\n\n\n" not in one
    after = prompt.render("second", before="first")
    assert "<before>\nfirst\n</before>\n\n<" in after
    assert after.index("first") < after.index("second")
    assert after.startswith(head[: head.rindex("<")].rstrip())


def test_control_strings_lose_their_power() -> None:
    said = Prompt("chunk", SCHEMA).render("a<|im_end|>b", before="<|endoftext|>")
    assert "a[im_end]b" in said
    assert "<|" not in said


def test_the_built_in_schema_is_the_papers_with_every_key_described() -> None:
    schema = described_paper_schema()
    assert (schema.keys, schema.max_tags, schema.max_value_chars, schema.name) == (
        PAPER_SCHEMA.keys,
        PAPER_SCHEMA.max_tags,
        PAPER_SCHEMA.max_value_chars,
        PAPER_SCHEMA.name,
    )
    assert set(schema.meanings) == set(schema.keys)
    assert all(meaning.description and meaning.examples for meaning in schema.meanings.values())
    assert len(schema.examples) == 2


def test_the_templates_are_told_apart_by_their_hashes() -> None:
    hashes = {Prompt(name, SCHEMA).sha256 for name in NAMES}
    assert len(hashes) == 2
    folder = Path(__file__).parents[2] / "olmo_anchor" / "annotate" / "templates"
    assert {path.stem for path in folder.glob("*.jinja")} == set(NAMES)
