"""What annotates: the interface, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from olmo_anchor.annotation import Annotation

__all__ = ["Annotator", "Chunk", "Done", "Outcome", "Refused"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of text that gets one annotation.

    :param part: index of the token file.
    :param doc: index of the document in it.
    :param id: the document's id, where the corpus names it.
    :param chunk: index of the chunk in the document.
    :param text: decoded, without control tokens.
    :param context: how the document begins, at most some thousand characters: for what a short
        chunk alone does not tell, such as its language.
    :param tokens: of the chunk.
    :param before: what stands just before it, for annotators with ``before_chars``.
    """

    part: int
    doc: int
    id: str | None
    chunk: int
    text: str
    context: str
    tokens: int = 0
    before: str = ""

    def where(self) -> dict[str, Any]:
        """Its place, for a record about it."""
        named = {} if self.id is None else {"id": self.id}
        return {"part": self.part, "doc": self.doc, **named, "chunk": self.chunk}


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a chunk has no annotation, when it should have one."""

    reason: str


Outcome = Annotation | Refused | None
"""None: there is nothing to say about the chunk, and nothing is wrong with that."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch of chunks with what came of them.

    :param attempts: tries that each took; without them, one each.
    :param counts: what there is to report besides, such as tokens of prompts; a job adds them up.
    """

    chunks: Sequence[Chunk]
    outcomes: Sequence[Outcome]
    attempts: Sequence[int] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


class Annotator(ABC):
    """Gives each chunk its annotation.

    :cvar name: stands in every record.
    :cvar batch_chars: how much text it is given at a time. What is done is kept after each batch.
    :cvar before_chars: how much of what stands before a chunk it wants to see.
    """

    name: str
    batch_chars: int = 1 << 14
    before_chars: int = 0

    @abstractmethod
    def annotate(self, chunks: Sequence[Chunk]) -> Sequence[Outcome]:
        """One outcome per chunk, in order; a fault of one chunk is an outcome, no exception."""

    def stream(self, batches: Iterable[list[Chunk]]) -> Iterator[Done]:
        """Batches with their outcomes, in order; some may be taken before the first is finished."""
        for batch in batches:
            yield Done(batch, self.annotate(batch))

    def replay(self, record: dict[str, Any]) -> None:  # noqa: B027, an optional hook
        """On resuming: told of each chunk that an earlier run dealt with."""

    def leftovers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """At the end: what the annotator was given and used for no chunk, as reason and place."""
        return iter(())
