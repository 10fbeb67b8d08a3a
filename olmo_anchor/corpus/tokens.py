"""A TOKENS_DIR: stock OLMo-core token files with a manifest and the tokenizer that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from olmo_anchor.corpus.token_files import Part, sampled_sha256
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import MANIFEST, Manifest, read_manifest, sha256_file
from olmo_anchor.spans import ControlIds

if TYPE_CHECKING:
    from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["TokensDir"]


@dataclass(frozen=True, slots=True)
class TokensDir:
    """A TOKENS_DIR whose manifest was read and whose files have the sizes that it tells."""

    folder: Path
    manifest: Manifest
    dtype: np.dtype[Any]
    tokenizer_hash: str
    vocab_size: int
    chat: bool
    train_turns: str | None
    interleaved: bool
    parts: tuple[Part, ...]

    @classmethod
    def open(cls, folder: Path) -> TokensDir:
        """Read the manifest and check the files' sizes; no token is read.

        :raises InputError: when the manifest is missing, torn or lacks a field, a file is missing,
            or a file's size is not a multiple of its dtype or not what the manifest tells.
        """
        _check_made_by_us(folder)
        manifest = read_manifest(folder, "tokens")
        try:
            extra = manifest.extra
            if extra["chat"] and not all(part.get("mask") for part in extra["parts"]):
                raise InputError(
                    f"{folder}: holds conversations without label masks; run `olmo-anchor "
                    "tokenize --chat` again with --overwrite"
                )
            dtype = np.dtype(extra["dtype"]).newbyteorder("<")
            mend = _mend(folder, extra)
            parts = tuple(
                _part(folder, k, part, dtype, mend) for k, part in enumerate(extra["parts"])
            )
            return cls(
                folder,
                manifest,
                dtype,
                str(extra["tokenizer_hash"]),
                int(extra["vocab_size"]),
                bool(extra["chat"]),
                extra.get("train_turns"),
                bool(extra.get("interleaved", False)),
                parts,
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{folder}/manifest.json: {error} is missing or of the wrong type; "
                "run `olmo-anchor tokenize` again with --overwrite"
            ) from None

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.parts)

    @property
    def documents(self) -> int:
        return sum(part.documents for part in self.parts)

    @property
    def documents_before(self) -> list[int]:
        """For each part, how many documents stand before it; then, how many there are."""
        return list(accumulate((part.documents for part in self.parts), initial=0))

    @property
    def has_masks(self) -> bool:
        return any(part.mask is not None for part in self.parts)

    def tokenizer(self) -> AnchorTokenizer:
        """The tokenizer that the folder holds.

        :raises InputError: when it is not the one that the manifest names, or names another layout
            or other delimiters than the manifest, where that tells them.
        """
        from olmo_anchor.tokenizer import AnchorTokenizer

        tokenizer = AnchorTokenizer.load(self.folder / "tokenizer")
        if tokenizer.hash != self.tokenizer_hash:
            raise InputError(
                f"{self.folder}/tokenizer: not the tokenizer that made these tokens (hash "
                f"{tokenizer.hash[:12]}, the manifest says {self.tokenizer_hash[:12]}); put "
                "the right tokenizer.json back, or make the folder again"
            )
        self._check_names(tokenizer)
        return tokenizer

    def control(self) -> ControlIds:
        """The ids of the control tokens, without loading the tokenizer where the manifest tells.

        :raises InputError: as :meth:`tokenizer`.
        """
        folder, extra = self.folder / "tokenizer", self.manifest.extra
        try:
            names = orjson.loads((folder / "tokenizer_anchor.json").read_bytes())
            same = sha256_file(folder / "tokenizer.json") == self.tokenizer_hash
        except (OSError, orjson.JSONDecodeError):
            same = False
        if not same or "control" not in extra or names != extra.get("tokenizer_names"):
            return self.tokenizer().control
        return ControlIds(**extra["control"])

    def _check_names(self, tokenizer: AnchorTokenizer) -> None:
        extra = self.manifest.extra
        for found, made in (
            (tokenizer.layout, extra.get("layout")),
            (" ".join(tokenizer.delimiters), extra.get("delimiters")),
        ):
            if made is not None and found != made:
                raise InputError(
                    f"{self.folder}/tokenizer/tokenizer_anchor.json: names {found!r}, and these "
                    f"tokens were made with {made!r}; put the right tokenizer_anchor.json back, or "
                    "make the folder again"
                )

    def check_contents(self) -> None:
        """Compare a sample of every token file and label mask with what it was.

        :raises InputError: when one changed since the manifest was written.
        """
        for part, entry in zip(self.parts, self.manifest.extra["parts"], strict=True):
            for path, record in ((part.ids, entry["ids"]), (part.mask, entry.get("mask"))):
                if path is None or "sampled_sha256" not in record:
                    continue
                if sampled_sha256(path) != record["sampled_sha256"]:
                    raise InputError(f"{path}: changed since its manifest was written; {part.mend}")

    def check_not_interleaved(self, cure: str = "") -> None:
        """:raises InputError: when the annotations are in the token files already."""
        if not self.interleaved:
            return
        made_from = self.manifest.config.get("tokens", "another folder")
        raise InputError(
            f"{self.folder}: has its annotations in it already: it was materialised from "
            f"{made_from}; {cure}name {made_from}"
        )

    def check_bounds(self) -> None:
        """Read the document bounds of all parts.

        :raises InputError: as :meth:`Part.rows`.
        """
        for part in self.parts:
            for _ in part.rows():
                pass

    def locate(self, document: int) -> tuple[Part, int]:
        """The part of the ``document``-th document of the folder, and its index there."""
        for part in self.parts:
            if document < part.documents:
                return part, document
            document -= part.documents
        raise InputError(f"{self.folder}: holds {self.documents} documents, the first is 0")


def _check_made_by_us(folder: Path) -> None:
    """Some things have no manifest, each for its own reason; say how to get one."""
    if folder.is_file():
        command = "adopt" if folder.suffix == ".npy" else "tokenize"
        raise InputError(
            f"{folder}: is a file, not a folder of tokens; make one with: olmo-anchor {command} "
            f"{folder} --tokenizer TOKENIZER --out TOKENS_DIR"
        )
    begun, names = (folder / "journal.jsonl").exists(), folder / "tokenizer/tokenizer_anchor.json"
    if begun or (folder / MANIFEST).exists():
        return
    holds_tokens = any(folder.glob("*.npy"))
    if names.exists() and not holds_tokens:
        raise InputError(
            f"{folder}: there is no {MANIFEST}, so the folder is unfinished; run `olmo-anchor "
            "adopt` again with --overwrite"
        )
    if holds_tokens and not names.exists():
        raise InputError(
            f"{folder}: there is no {MANIFEST}; token files that were made elsewhere are taken "
            f"with: olmo-anchor adopt {folder} --tokenizer TOKENIZER --out TOKENS_DIR"
        )


def _mend(folder: Path, extra: Mapping[str, Any]) -> str:
    command = "tokenize"
    if extra.get("adopted"):
        command = "adopt"
    elif extra.get("interleaved"):
        command = "materialise"
    return f"put it back, or make {folder} again with: olmo-anchor {command} --overwrite"


def _part(folder: Path, index: int, entry: dict[str, Any], dtype: np.dtype[Any], mend: str) -> Part:
    ids, bounds = folder / entry["ids"]["path"], folder / entry["csv"]["path"]
    mask = folder / entry["mask"]["path"] if entry.get("mask") else None
    for path in (ids, bounds, mask):
        if path is not None and not path.is_file():
            raise InputError(f"{path}: missing; {mend}")
    size, tokens = ids.stat().st_size, int(entry["tokens"])
    if size % dtype.itemsize:
        raise InputError(
            f"{ids}: {size} bytes are not a multiple of {dtype.itemsize} ({dtype.name}): the file "
            f"is torn or of another dtype; {mend}"
        )
    if size != tokens * dtype.itemsize:
        raise InputError(
            f"{ids}: holds {size // dtype.itemsize} tokens of {dtype.name}, the manifest says "
            f"{tokens}; {mend}"
        )
    if mask is not None and mask.stat().st_size != tokens:
        raise InputError(f"{mask}: holds {mask.stat().st_size} flags for {tokens} tokens; {mend}")
    record, documents = entry["ids"], int(entry["documents"])
    return Part(index, ids, mask, bounds, dtype, tokens, documents, record, mend)
