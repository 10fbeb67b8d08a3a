"""Annotators by name: a config that knows how to build one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olmo_anchor.annotate.base import Annotator
from olmo_anchor.annotate.file import FileAnnotator
from olmo_anchor.annotate.llm_config import LLM_ANNOTATORS, LLMConfig
from olmo_anchor.annotation import PAPER_SCHEMA, Schema
from olmo_anchor.corpus.schema_file import load_schema, schema_record
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import file_record, installed_version

__all__ = ["ANNOTATORS", "AnnotatorConfig"]

_KEYWORD_LIBRARIES = ("textblob", "lemminflect", "yake", "py3langid", "vaderSentiment")
_OF_A_FILE = ("file", "oracle")
ANNOTATORS = ("keyword", "file", "oracle", *LLM_ANNOTATORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorConfig:
    """Everything that an annotation depends on but the text.

    :param name: one of :data:`ANNOTATORS`.
    :param annotations: for ``file`` and ``oracle``: the annotations that exist.
    :param schema: a YAML or JSON file; without one, the annotator's own or the paper's.
    :param llm: for the language models: which one, and how it is asked.
    :param chat: the chunks are responses in conversations, not pieces of documents.
    """

    name: str
    annotations: Path | None = None
    schema: Path | None = None
    llm: LLMConfig = field(default_factory=LLMConfig)
    chat: bool = False

    def check(self) -> None:
        """:raises InputError: when an option does not fit the annotator; nothing is loaded."""
        self.llm.check(self.name)
        if self.name in _OF_A_FILE and self.annotations is None:
            raise InputError(
                f"--annotator {self.name} needs --annotations FILE, as JSONL or Parquet"
            )
        if self.annotations is not None and not self.annotations.is_file():
            raise InputError(
                f"{self.annotations}: no such file; it should hold one annotation per line"
            )
        if self.name not in _OF_A_FILE and self.annotations is not None:
            raise InputError(f"--annotations is for file and oracle, not {self.name}")
        if self.name not in ANNOTATORS:
            raise InputError(f"there is no annotator {self.name!r}; there are {ANNOTATORS}")

    def build(self) -> Annotator:
        """:raises InputError: when a file, a library, a model or a server is missing."""
        self.check()
        schema = self.resolved_schema()
        if self.annotations is not None:
            return FileAnnotator(self.annotations, schema, self.name)
        if self.name == "keyword":
            from olmo_anchor.annotate.keyword import KeywordAnnotator

            return KeywordAnnotator(schema)
        return self.llm.open(self.name, schema, chat=self.chat)

    def key(self) -> dict[str, Any]:
        """What must be the same for a job to go on; no model is loaded."""
        settings: dict[str, Any] = {}
        if self.name == "keyword":
            settings = {name: installed_version(name) for name in _KEYWORD_LIBRARIES}
        elif self.name in LLM_ANNOTATORS:
            settings = self.llm.settings(self.resolved_schema(), chat=self.chat)
        return {
            "annotator": self.name,
            "annotations": file_record(self.annotations) if self.annotations else None,
            "schema": schema_record(self.resolved_schema()),
            "settings": settings,
        }

    def resolved_schema(self) -> Schema:
        """:raises InputError: when the file is not one."""
        if self.schema is not None:
            return load_schema(self.schema)
        if self.name == "keyword":
            from olmo_anchor.annotate.keyword import KEYWORD_SCHEMA

            return KEYWORD_SCHEMA
        if self.name in LLM_ANNOTATORS:
            from olmo_anchor.annotate.prompts import described_paper_schema

            return described_paper_schema()
        return PAPER_SCHEMA

    @property
    def in_tasks(self) -> bool:
        """Whether tasks of one job may have annotators of their own."""
        return self.name not in _OF_A_FILE
