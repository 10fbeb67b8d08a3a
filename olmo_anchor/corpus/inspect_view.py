"""A document as training sees it, token by token: text, role, and whether it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.spans import ROLE_NAMES, TEXT
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["CONTROL", "VALUE_ONLY", "DocumentView", "Shares", "Token", "spell", "tally"]

CONTROL = "control"
"""How tokens like end-of-text are shown, which are text by role but come from code."""

VALUE_ONLY = "value-only"


@dataclass(frozen=True, slots=True)
class Token:
    """One token, or the few that spell a character together.

    :param kind: its role's name, or :data:`CONTROL`.
    """

    text: str
    ids: tuple[int, ...]
    kind: str
    trained: bool

    @property
    def in_annotation(self) -> bool:
        return self.kind not in (ROLE_NAMES[TEXT], CONTROL)


@dataclass(frozen=True, slots=True)
class DocumentView:
    """One document.

    :param number: counted over all parts.
    :param ids: all its tokens; ``role_ids``, ``trained`` and ``is_control`` belong to them.
    :param tokens: the ones that are shown, from its start.
    :param value_only: whether only the values of its annotations are masked.
    """

    number: int
    part: int
    name: str | None
    ids: NDArray[Any]
    role_ids: NDArray[np.uint8]
    trained: NDArray[np.bool_]
    is_control: NDArray[np.bool_]
    tokens: list[Token]
    value_only: bool

    @property
    def hidden(self) -> int:
        """Tokens after those that are shown."""
        return len(self.ids) - sum(len(token.ids) for token in self.tokens)

    @property
    def title(self) -> str:
        return self.name or f"document {self.number}"

    def facts(self) -> list[str]:
        """A line about it, in pieces."""
        annotation = int((self.role_ids != TEXT).sum())
        trained = int(self.trained.sum())
        facts = [f"document {self.number}", f"{len(self.ids):,} tokens"]
        facts.append(f"{annotation:,} in annotations")
        facts.append(f"{trained:,} trained ({trained / max(1, len(self.ids)):.0%})")
        return facts + [VALUE_ONLY] * self.value_only

    def stretches(self) -> Iterator[tuple[bool, list[Token]]]:
        """The shown tokens in runs: inside an annotation or not."""
        for inside, run in groupby(self.tokens, key=lambda token: token.in_annotation):
            yield inside, list(run)


def spell(
    ids: NDArray[Any],
    role_ids: NDArray[np.uint8],
    trained: NDArray[np.bool_],
    is_control: NDArray[np.bool_],
    tokenizer: AnchorTokenizer,
) -> list[Token]:
    """Give each token its text; tokens that spell a character together become one."""
    found: list[Token] = []
    numbers = ids.tolist()
    start, read = 0, 0
    for k in range(len(numbers)):
        # A token alone may be half a character, or lose the space before it.
        before = tokenizer.decode(numbers[start:read])
        text = tokenizer.decode(numbers[start : k + 1])
        if text.endswith("\ufffd") and k + 1 < len(numbers) and k - read < 4:
            continue
        kind = CONTROL if is_control[read] else ROLE_NAMES[role_ids[read]]
        span = tuple(numbers[read : k + 1])
        found.append(Token(text[len(before) :], span, kind, bool(trained[read])))
        start, read = read, k + 1
    return found


@dataclass(frozen=True, slots=True)
class Shares:
    """Tokens by role or control, over several documents: count and how many of them are trained."""

    tokens: dict[str, int]
    trained: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.tokens.values())


def tally(documents: Sequence[DocumentView]) -> Shares:
    """Count whole documents, not only what is shown of them."""
    tokens = dict.fromkeys((*ROLE_NAMES, CONTROL), 0)
    trained = dict.fromkeys(tokens, 0)
    for document in documents:
        kinds = np.where(document.is_control, len(ROLE_NAMES), document.role_ids)
        for kind, name in enumerate(tokens):
            here = kinds == kind
            tokens[name] += int(here.sum())
            trained[name] += int((here & document.trained).sum())
    return Shares(tokens, trained)
