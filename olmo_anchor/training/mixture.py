"""A mixture file: which corpora in which proportion, as OLMo-core's mixing source.

::

    root: data                  # from the working directory (default)
    tokens: 12.0e+9             # of the run; not needed where each source has its own
    sources:
      wikipedia:                # ROOT/wikipedia/tokens and, if it is there, ROOT/wikipedia/overlay
        share: 0.07             # or `tokens: 1.0e+9`; all sources have the same of the two
        repeat: 2               # seen so often at most (default 1)
        from: ours, ...         # for people: the paper's number, or whose
      mine:
        share: 0.93
        path: /data/mine        # instead of ROOT/mine

Shares and tokens count what a model sees, annotations included. So every arm of a comparison draws
the same number of tokens of each corpus, and the annotated one fewer documents. Documents are laid
end to end and cut into instances: for pretraining, not for policies that mask by role.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmo_core.data.composable import (
    ConcatAndChunkInstanceSourceConfig,
    InstanceSourceConfig,
    MixingInstanceSourceConfig,
    MixingInstanceSourceSpecConfig,
)

from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.training.source import InterleavedDocumentSourceConfig

__all__ = ["Mixture", "MixtureSource", "document_sources"]


@dataclass(frozen=True)
class MixtureSource:
    """One corpus of a mixture.

    :param share: of the run's tokens; over all sources they sum to 1.
    """

    name: str
    folder: Path
    share: float
    repeat: float = 1.0

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"

    @property
    def overlay(self) -> Path | None:
        """None where there is no such folder."""
        path = self.folder / "overlay"
        return path if path.is_dir() else None


@dataclass(frozen=True)
class Mixture:
    """Corpora and their shares.

    :param tokens: of the run.
    """

    sources: tuple[MixtureSource, ...]
    tokens: int

    @classmethod
    def load(cls, path: Path, root: Path | None = None, tokens: int | None = None) -> Mixture:
        """Read a mixture file.

        :param root: the folder that holds a folder for each corpus, instead of the file's.
        :param tokens: of the run, instead of the file's.
        :raises InputError: when the file is missing or no mixture.
        """
        import yaml

        try:
            stored = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: cannot be read as YAML: {reason}") from None
        try:
            return cls._of(stored, root, tokens)
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def _of(cls, stored: Any, root: Path | None, tokens: int | None) -> Mixture:
        given = stored.get("sources") if isinstance(stored, dict) else None
        if not isinstance(given, dict) or not given:
            raise ValueError("a mixture has `sources`, an object of corpora by name")
        root = root or Path(stored.get("root", "data"))
        for name, entry in given.items():
            if not isinstance(entry, dict) or set(entry) - _FIELDS:
                raise ValueError(f"{name}: a source has {', '.join(sorted(_FIELDS))}, no others")
        kinds = {kind for entry in given.values() for kind in ("share", "tokens") if kind in entry}
        if len(kinds) != 1 or not all(kinds <= set(entry) for entry in given.values()):
            raise ValueError("every source has a `share`, or every source has `tokens`")
        (kind,) = kinds
        numbers = {name: float(entry[kind]) for name, entry in given.items()}
        if min(numbers.values()) <= 0:
            raise ValueError(f"a `{kind}` is more than 0")
        total = sum(numbers.values())
        if kind == "share" and abs(total - 1) > 0.001:
            raise ValueError(f"the shares sum to {total:.4f}, not to 1")
        budget = tokens or stored.get("tokens") or (total if kind == "tokens" else 0)
        if not budget:
            raise ValueError("`tokens` of the run are missing")
        return cls(
            tuple(
                MixtureSource(
                    name,
                    Path(entry["path"]) if "path" in entry else root / name,
                    numbers[name] / total,
                    float(entry.get("repeat", 1)),
                )
                for name, entry in given.items()
            ),
            int(float(budget)),
        )

    def config(
        self, *, sequence_length: int, annotations: bool, seed: int = 0
    ) -> MixingInstanceSourceConfig:
        """The instances of one arm, in OLMo-core's grammar; both arms draw equally many of each.

        :param annotations: whether the overlays' annotations are laid in.
        :raises InputError: when a corpus is not prepared, has too few tokens for its share, or
            another tokenizer than the others.
        """
        self._check(sequence_length)
        return MixingInstanceSourceConfig(
            source_specs=[
                MixingInstanceSourceSpecConfig(
                    ConcatAndChunkInstanceSourceConfig(
                        [
                            InterleavedDocumentSourceConfig(
                                tokens=str(source.tokens),
                                overlay=None if source.overlay is None else str(source.overlay),
                                annotations=annotations,
                                label=source.name,
                            )
                        ],
                        sequence_length,
                        label=source.name,
                    ),
                    ratio=source.share,
                    max_repetition_factor=source.repeat,
                    label=source.name,
                )
                for source in self.sources
            ],
            seed=seed,
            num_tokens=self.tokens,
        )

    def _check(self, sequence_length: int) -> None:
        hashes: dict[str, str] = {}
        for source in self.sources:
            opened = TokensDir.open(source.tokens)
            hashes.setdefault(opened.tokenizer_hash, source.name)
            # Without annotations, in every arm: one that would run out alone is none to compare.
            chunks = sum(part.tokens // sequence_length for part in opened.parts)
            there, wanted = chunks * sequence_length, source.share * self.tokens
            if there * source.repeat < wanted:
                raise InputError(
                    f"{source.tokens}: {there:,} tokens, and {source.share:.1%} of {self.tokens:,} "
                    f"are {int(wanted):,}; prepare more of it, set a higher `repeat`, or lower "
                    "`tokens`"
                )
        if len(hashes) > 1:
            one, other = list(hashes.values())[:2]
            raise InputError(
                f"{one} and {other} were made with different tokenizers; make one of them again"
            )


def document_sources(dataset: InstanceSourceConfig) -> Iterator[InterleavedDocumentSourceConfig]:
    """Our sources in a dataset, be they mixed or not."""
    if isinstance(dataset, MixingInstanceSourceConfig):
        for spec in dataset.source_specs:
            yield from document_sources(spec.source)
    for source in getattr(dataset, "sources", ()):
        if isinstance(source, InterleavedDocumentSourceConfig):
            yield source


_FIELDS = {"share", "tokens", "repeat", "path", "from"}
