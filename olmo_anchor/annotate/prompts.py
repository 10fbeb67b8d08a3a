"""What a language model is asked: our own templates; the paper's are not published.

All that is the same for every chunk stands first and the chunk last, so that a server computes the
beginning once (prefix caching). It is one message of the user: some models take no system message.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

from olmo_anchor.annotation import Meaning, Schema
from olmo_anchor.corpus.schema_file import schema_of
from olmo_anchor.errors import InputError

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["NOTHING", "Prompt", "PromptName", "described_paper_schema"]

PromptName = Literal["chunk", "response"]

NOTHING = "none"
"""The answer about a text that says nothing."""

_CONTROL = re.compile(r"<\|([a-z0-9_]+)\|>")


class Prompt:
    """One of the templates, filled with a schema.

    :param name: ``chunk`` for a piece of a document, ``response`` for an assistant's answer.
    :param sha256: of the template; two jobs with another one are not the same job.
    :raises InputError: when jinja2 is not installed.
    """

    def __init__(self, name: PromptName, schema: Schema) -> None:
        source = _read(f"{name}.jinja")
        self.name = name
        self.sha256 = hashlib.sha256(source.encode()).hexdigest()
        self._template = _compile(source)
        meanings = [(key, schema.meanings.get(key, Meaning())) for key in schema.keys]
        self._values = {
            "keys": [
                {"name": key, "description": m.description, "examples": m.examples}
                for key, m in meanings
            ],
            "max_tags": schema.max_tags,
            "max_value_chars": schema.max_value_chars,
            "instructions": schema.instructions.strip(),
            "examples": [
                {"text": each.text, "tags": each.annotation.text()} for each in schema.examples
            ],
        }

    def render(self, text: str, before: str | None = None) -> str:
        """The prompt for one text; ``before`` is what stands before it, for orientation."""
        before = None if before is None else _without_control(before)
        return self._template.render(self._values, text=_without_control(text), before=before)


def _without_control(text: str) -> str:
    """Control strings, which a server would read as its own, in brackets of another kind."""
    return _CONTROL.sub(r"[\1]", text).strip("\n")


def described_paper_schema() -> Schema:
    """The paper's keys, as :data:`~olmo_anchor.annotation.PAPER_SCHEMA`, with what they mean."""
    import yaml

    return schema_of(yaml.safe_load(_read("paper.yaml")), "paper.yaml")


def _read(name: str) -> str:
    return resources.files("olmo_anchor.annotate").joinpath("templates", name).read_text("utf-8")


@cache
def _compile(source: str) -> Template:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise InputError("the prompts need jinja2: pip install 'olmo-anchor[annotate]'") from None
    # Plain text, not HTML: nothing is escaped.
    return Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined).from_string(
        source
    )
