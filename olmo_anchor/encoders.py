"""Text to ids by the fastest library that gives the same ids as ``tokenizers``.

Three encoders with one interface: gigatoken, tiktoken, ``tokenizers`` itself. All are built from
the same ``tokenizer.json``, one without added tokens, so that text gives no control token (DESIGN
rule 1). :func:`choose` takes the first that is installed, can read the file and agrees with
``tokenizers`` on a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from mmap import PAGESIZE
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray
from tokenizers import Tokenizer

__all__ = [
    "ENCODERS",
    "Gigatoken",
    "TextEncoder",
    "Tiktoken",
    "Tokenizers",
    "Unsupported",
    "byte_level",
    "choose",
]

Ids = NDArray[np.uint32]

_SMALL = 1 << 20
"""Bytes of input below which a fast encoder is not worth its start, a fifth of a second."""


class Unsupported(Exception):
    """The library is not installed, or cannot read this ``tokenizer.json``."""


class TextEncoder(Protocol):
    """Made from the bytes of a ``tokenizer.json`` without added tokens; pickles as these.

    ``name`` is that of the library.
    """

    name: ClassVar[str]

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text, uint32 ``[n]``."""


class Tokenizers:
    """The reference; reads any ``tokenizer.json``, with as many threads as rayon is allowed.

    :param tokenizer: one that gives the ids of ``raw``, where there is one already.
    """

    name: ClassVar[str] = "tokenizers"

    def __init__(self, raw: bytes, tokenizer: Tokenizer | None = None) -> None:
        self.raw = raw
        self._tokenizer = Tokenizer.from_buffer(raw) if tokenizer is None else tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.raw,)

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        batch = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in batch]

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def vocabulary(self) -> dict[str, int]:
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=False)
        return vocabulary


# --- gigatoken -----------------------------------------------------------------------------------


class Gigatoken:
    """Remembers every word that it has seen, without end: it is built anew when that grows.

    ``encode`` for one text at a time, as the calls for many import ``awkward``, which takes a
    second.
    """

    name: ClassVar[str] = "gigatoken"

    _MAY_GROW = 64 << 20
    _MAY_READ = 16 << 20  # where the process' memory cannot be seen; all words new: 100 MiB

    def __init__(self, raw: bytes) -> None:
        try:
            from gigatoken import Tokenizer as Backend
        except ImportError as error:
            raise Unsupported(str(error)) from None
        self._load: Any = Backend.from_json
        self._raw = raw
        try:
            self._build()
        except Exception as error:
            raise Unsupported(str(error)) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._raw,)

    def _build(self) -> None:
        self._tokenizer: Any = None  # before the next one, not after
        self._tokenizer = self._load(self._raw)
        self._read = 0
        self._resident = _resident()

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        if self._has_grown():
            self._build()
        self._read += sum(map(len, texts))
        return [self._tokenizer.encode(text) for text in texts]

    def _has_grown(self) -> bool:
        if self._resident is None:
            return self._read > self._MAY_READ
        return (_resident() or 0) - self._resident > self._MAY_GROW


_STATM = Path("/proc/self/statm")


def _resident() -> int | None:
    """Bytes of this process in memory, where the system tells."""
    try:
        return int(_STATM.read_text().split()[1]) * PAGESIZE
    except OSError:
        return None


# --- tiktoken ------------------------------------------------------------------------------------


class Tiktoken:
    """A byte-level BPE whose merges stand in the order of their tokens' ids, and no other."""

    name: ClassVar[str] = "tiktoken"

    _LONG = 1 << 20  # above, an id at a time as a Python integer would take too much memory

    def __init__(self, raw: bytes) -> None:
        try:
            from tiktoken import Encoding
        except ImportError as error:
            raise Unsupported(str(error)) from None
        stored = orjson.loads(raw)
        pattern, ranks = _pattern(stored), _ranks(stored["model"])
        self._raw = raw
        try:
            self._encoding = Encoding(
                "text", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}
            )
        except ValueError as error:
            raise Unsupported(str(error)) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._raw,)

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> Ids:
        try:
            if len(text) > self._LONG:
                return self._encoding.encode_to_numpy(text)
            return np.array(self._encoding.encode_ordinary(text), np.uint32)
        except ValueError:
            # Its regular expressions cannot go back over half a million spaces.
            return self._reference.encode_batch([text])[0]

    @cached_property
    def _reference(self) -> Tokenizers:
        return Tokenizers(self._raw)


_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def _pattern(stored: dict[str, Any]) -> str:
    """The regular expression whose matches are the words.

    :raises Unsupported: when words are made otherwise, or the text is changed before.
    """
    made = stored.get("pre_tokenizer") or {}
    steps = made.get("pretokenizers") or [made]
    *split, last = steps
    if stored.get("normalizer") or last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise Unsupported("not a plain byte-level pretokenizer")
    if not split and last.get("use_regex", True):
        return _GPT2
    if len(split) == 1 and split[0].get("type") == "Split" and not last.get("use_regex", True):
        # Of what no match covers, one keeps nothing and the other all: with `tokenizers` on the
        # sample it is seen to be nothing.
        kept = (split[0].get("behavior"), split[0].get("invert"))
        if kept in (("Removed", True), ("Isolated", False)) and "Regex" in split[0]["pattern"]:
            return str(split[0]["pattern"]["Regex"])
    raise Unsupported("words are not the matches of one regular expression")


def _ranks(model: dict[str, Any]) -> dict[bytes, int]:
    """The bytes of each token and its id, which tells its place among the merges.

    :raises Unsupported: when it does not, or a token comes from no merge.
    """
    odd = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    if model.get("type") != "BPE" or any(model.get(name) for name in odd):
        raise Unsupported("not a plain byte pair encoding")
    vocabulary: dict[str, int] = model["vocab"]
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    merged = [vocabulary.get("".join(pair), -1) for pair in pairs]
    ranks = {byte_level(token): index for token, index in vocabulary.items()}
    single = [token for token in ranks if len(token) == 1]
    rising = all(a < b for a, b in pairwise(merged))
    if len(single) != 256 or not rising or len(ranks) != len(single) + len(merged):
        raise Unsupported("the ids of the tokens do not tell the order of the merges")
    return ranks


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes, as ``tokenizers``' ByteLevel uses them."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_ins = {chr(byte): byte for byte in printable}
    stand_ins.update({chr(256 + number): byte for number, byte in enumerate(others)})
    return stand_ins


_ALPHABET = _byte_alphabet()


def byte_level(token: str) -> bytes:
    """The bytes of a token of a byte-level vocabulary."""
    return bytes(_ALPHABET[char] for char in token if char in _ALPHABET)


# --- which one -----------------------------------------------------------------------------------

ENCODERS = (Gigatoken, Tiktoken, Tokenizers)
"""The fastest first."""

SAMPLE = (
    "It was the best of times, it was the worst of times. 'Tis so, they'LL say; we've\tit's I'D.",
    "One.\n\nTwo.\r\n\r\n\n  Three \n \n\t\n  four    five\n   ",
    "  leading, trailing  \u00a0\u2003\u3000 and\u200bzero\u2028width\u0085 \x0b\x0c\x1c\x00\x7f ",
    "0 12 345 6789 1234567890 \u00b3\u00b2\u00bd \u2163 \u0663\u0664\u0665 3.14e-10 1,000,000 $5",
    "naïve cafe\u0301 Ünïcödé \u017f K\u017f'\u017f ß İi \u0131 Σςσ ǅ",
    "\ufb01 Ωmega Привет, мир! שלום हिन्दी",
    "東京は日本の首都です。中文\uff0c標點\uff01한국어 ไทย",
    "\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u270a\U0001f3fd",
    "\U0001d54f\U00020000 \ufffd\ufeff\uffff e\u200d",
    "def f(x):\n    return {'a': [1, 2], \"b\": x**2}  # <|x|> <|> |> <| https://a.b/c?d=e&f=g#h\n",
    "a" * 300 + "!" * 300 + " " * 300 + "\n" * 300 + "1" * 300,
)
"""Texts in which libraries are likely to differ, if they do."""


def choose(reference: Tokenizers, controls: Sequence[str], size: int | None = None) -> TextEncoder:
    """The fastest encoder that agrees with ``reference``; one that does not is told on stderr.

    :param controls: strings of the added tokens, which must give ordinary ids.
    :param size: bytes that are to be encoded, where known: little is not worth a start.
    """
    if size is not None and size < _SMALL:
        return reference
    between = "".join(f" a{control}b\n{control}" for control in controls)
    sample = [*SAMPLE, *controls, between]
    wanted = reference.encode_batch(sample)
    for kind in (Gigatoken, Tiktoken):
        if (found := _agreeing(kind, reference.raw, sample, wanted)) is not None:
            return found
    return reference


def _agreeing(
    kind: type[Gigatoken] | type[Tiktoken], raw: bytes, sample: list[str], wanted: list[Ids]
) -> TextEncoder | None:
    try:
        encoder = kind(raw)
    except Unsupported:
        return None
    try:
        given = encoder.encode_batch(sample)
        agrees = all(np.array_equal(a, b) for a, b in zip(given, wanted, strict=True))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic in Rust is no Exception
        agrees = False
    if not agrees:
        from importlib.metadata import version

        from olmo_anchor.terminal import console

        console.print(
            f"{kind.name} {version(kind.name)} gives other ids than tokenizers for this "
            "tokenizer: it is not used",
            highlight=False,
            soft_wrap=True,
        )
    return encoder if agrees else None
