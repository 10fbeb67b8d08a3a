"""What the command line of a recipe gives to its builder."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from olmo_core.data import TokenizerConfig

from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.mixture import Mixture

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """What the command line named: where the data is, and where the run goes.

    Without ``tokens`` (a dry run on a machine that has no data) dolma2's sizes stand in.
    """

    tokens: str | None
    overlay: str | None
    save_folder: str
    load_path: str | None = None
    seed: int = 0
    """Of the initialisation, the order of the data and the value-only choice."""
    size: str | None = None
    """Another size than the recipe's own, of those that it knows."""
    budget: int | None = None
    """Tokens of a pretraining run, instead of the recipe's."""
    hardware: Hardware = field(default_factory=Hardware.here)

    @cached_property
    def anchor_tokenizer(self) -> AnchorTokenizer | None:
        """:raises InputError: when the TOKENS_DIR is unfinished or holds another tokenizer."""
        return None if self.tokens_dir is None else self.tokens_dir.tokenizer()

    @cached_property
    def tokens_dir(self) -> TokensDir | None:
        """The first of a mixture's, which all have the same tokenizer.

        :raises InputError: when the TOKENS_DIR is unfinished.
        """
        if self.mixture is not None:
            return TokensDir.open(self.mixture.sources[0].tokens)
        return None if self.tokens is None else TokensDir.open(Path(self.tokens))

    @cached_property
    def mixture(self) -> Mixture | None:
        """None where ``tokens`` is a TOKENS_DIR.

        :raises InputError: when it is no mixture, or an overlay is named beside it.
        """
        if self.tokens is None or Path(self.tokens).suffix not in (".yaml", ".yml"):
            return None
        if self.overlay is not None:
            raise InputError(f"{self.tokens}: each source of a mixture brings its own overlay")
        return Mixture.load(Path(self.tokens))

    @property
    def folders(self) -> list[str]:
        """The TOKENS_DIRs and OVERLAY_DIRs that are read."""
        if self.mixture is None:
            return [path for path in (self.tokens, self.overlay) if path is not None]
        named = [(source.tokens, source.overlay) for source in self.mixture.sources]
        return [str(path) for pair in named for path in pair if path is not None]

    @property
    def layout(self) -> str | None:
        """Of the conversations; None for documents."""
        if self.tokens_dir is None or not self.tokens_dir.chat:
            return None
        assert self.anchor_tokenizer is not None
        return self.anchor_tokenizer.layout

    @property
    def tokenizer(self) -> TokenizerConfig:
        if (tokenizer := self.anchor_tokenizer) is None:
            return TokenizerConfig.dolma2()
        return TokenizerConfig(
            vocab_size=tokenizer.vocab_size,
            eos_token_id=tokenizer.control.end_of_text,
            pad_token_id=tokenizer.pad_id,
        )

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding: padded to a multiple of 128, as OLMo-core does."""
        return self.tokenizer.padded_vocab_size()
