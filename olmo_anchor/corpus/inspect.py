"""Documents of a corpus as training sees them, on the terminal or as a page."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from olmo_anchor.corpus.inspect_view import DocumentView, spell
from olmo_anchor.corpus.materialise import default_policy
from olmo_anchor.corpus.overlay_files import OverlayDir, interleave
from olmo_anchor.corpus.token_files import read_bounds
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write
from olmo_anchor.policy import VALUE_ONLY_FRACTION, MaskPolicy, policy_mask, value_only_tokens
from olmo_anchor.spans import TEXT, final_run_mask, roles

__all__ = ["InspectConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectConfig:
    """Show some documents of a TOKENS_DIR, with an overlay or as they are.

    :param policy: what is trained; without one, that of a materialised folder, or
        :func:`default_policy`.
    :param docs: how many documents, from the first on or, with a seed, picked at random.
    :param doc: these documents instead, by number (over all parts) or id.
    :param boundaries: show where tokens begin.
    :param max_tokens: of a longer document only the beginning is shown; the counts are of all of
        it.
    :param html: write a page here instead of printing.
    """

    tokens: Path
    overlay: Path | None = None
    policy: MaskPolicy | str | None = None
    docs: int = 3
    doc: Sequence[str] = ()
    seed: int | None = None
    boundaries: bool = False
    max_tokens: int = 1000
    train_turns: str = "final"
    value_only_fraction: float = VALUE_ONLY_FRACTION
    mask_seed: int = 0
    train_opening: bool = False
    unannotated: str = "leave_out"
    html: Path | None = None

    def run(self) -> None:
        """Print, or write the page.

        :raises InputError: when a folder or a document is not there, or they do not belong
            together.
        """
        source = _Source(self)
        documents = list(source.documents())
        if self.html is None:
            from olmo_anchor.corpus.inspect_terminal import show

            show(documents, source.title, source.about(), boundaries=self.boundaries)
            return
        from olmo_anchor.corpus.inspect_html import page

        with atomic_write(self.html) as file:
            file.write(
                page(documents, source.title, source.about(), boundaries=self.boundaries).encode()
            )


class _Source:
    def __init__(self, config: InspectConfig) -> None:
        self.config = config
        self.tokens = TokensDir.open(config.tokens)
        self.tokens.check_contents()
        self.tokenizer = self.tokens.tokenizer()
        self.overlay = OverlayDir.open(config.overlay, self.tokens) if config.overlay else None
        if not self.tokens.documents:
            raise InputError(f"{config.tokens}: holds no documents")
        self.written = self.tokens.manifest.extra.get("policy")
        if self.tokens.interleaved and config.policy not in (None, self.written):
            raise InputError(
                f"{config.tokens}: its label masks are written already, under policy "
                f"{self.written}; leave --policy out"
            )
        self.policy = MaskPolicy(config.policy or self.written or default_policy(self.tokens))
        given = self.policy is MaskPolicy.anchored_given
        self.pieces = self.tokenizer.pieces() if given else None
        added = {self.tokenizer.special(name) for name in self.tokenizer.control_strings}
        self.controls = np.array([*added, self.tokenizer.control.end_of_text])

    @property
    def title(self) -> str:
        over = f" + {self.config.overlay}" if self.overlay else ""
        return f"{self.config.tokens}{over}"

    def about(self) -> list[str]:
        """What the whole corpus is, in pieces."""
        facts = [f"policy {self.policy}"]
        facts.append(f"{self.tokens.documents:,} documents")
        facts.append(f"{self.tokens.tokens:,} tokens")
        if self.overlay:
            counts, shares = self.overlay.manifest.counts, self.overlay.manifest.extra["shares"]
            facts.append(
                f"{counts['annotations']:,} annotations on {shares['chunks_annotated']:.1%} of the "
                f"chunks, {shares['annotation_tokens']:.1%} of the interleaved tokens"
            )
        elif self.tokens.interleaved:
            facts.append("annotations in the token files")
        else:
            facts.append("no annotations: name them with --overlay")
        return facts

    def documents(self) -> Iterator[DocumentView]:
        for number in self._numbers():
            yield self._document(number)

    def _numbers(self) -> list[int]:
        config, total = self.config, self.tokens.documents
        if config.doc:
            return [self._number(name) for name in config.doc]
        if config.seed is None:
            return list(range(min(config.docs, total)))
        return sorted(random.Random(config.seed).sample(range(total), min(config.docs, total)))

    def _number(self, name: str) -> int:
        before = 0
        for part in self.tokens.parts:
            for index, (_, _, found) in enumerate(read_bounds(part.bounds)):
                if found == name:
                    return before + index
            before += part.documents
        if name.isdecimal() and int(name) < before:
            return int(name)
        raise InputError(
            f"{self.config.tokens}: has no document {name!r}; name one by its id, or by its number "
            f"from 0 to {before - 1}"
        )

    def _document(self, number: int) -> DocumentView:
        part, index = self.tokens.locate(number)
        block = next(part.blocks(index, block_tokens=1))
        woven = interleave(block, self.overlay.part(part.index) if self.overlay else None)
        ids, corpus = woven.document(0)
        control = self.tokenizer.control
        role_ids = roles(ids, control, inside=False)
        value_only = False
        if self.tokens.interleaved and corpus is not None:
            trained = corpus
        else:
            if corpus is not None and self.config.train_turns == "final":
                leaves_out = self.overlay and self.config.unannotated == "leave_out"
                opened = np.flatnonzero(ids == control.open) if leaves_out else None
                corpus = final_run_mask(corpus, np.array([0, len(ids)], dtype=np.int64), opened)
            fraction, seed = self.config.value_only_fraction, self.config.mask_seed
            chosen = value_only_tokens(ids, control, fraction=fraction, seed=seed)
            value_only = self.policy.has_value_only and bool(chosen.any())
            trained = policy_mask(
                ids,
                corpus,
                self.policy,
                control,
                value_only_fraction=fraction,
                seed=seed,
                train_opening=self.config.train_opening,
                pieces=self.pieces,
            )
        # A delimiter is an added token too, and has a role.
        is_control = np.isin(ids, self.controls) & (role_ids == TEXT)
        head = slice(0, self.config.max_tokens)
        tokens = spell(ids[head], role_ids[head], trained[head], is_control[head], self.tokenizer)
        return DocumentView(
            number,
            part.index,
            block.names[0],
            ids,
            role_ids,
            trained,
            is_control,
            tokens,
            value_only,
        )
