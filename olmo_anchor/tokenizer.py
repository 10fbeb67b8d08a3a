"""Text to ids and back, on any ``tokenizer.json``, with control tokens under our control.

Control tokens come from code, never from text (DESIGN rule 1): text is encoded by a copy of the
tokenizer that has no added tokens, so that ``<|endoftext|>`` in a document is ordinary letters and
punctuation, and never an id that means something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from tokenizers import AddedToken, Tokenizer

from olmo_anchor.annotation import Annotation, Dropped, Tag, parse
from olmo_anchor.encoders import TextEncoder, Tokenizers, byte_level, choose
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write, write_json
from olmo_anchor.spans import ControlIds, NewlineTable

__all__ = ["DELIMITERS", "LAYOUTS", "NAMES_FILE", "AnchorTokenizer", "add_delimiters"]

DELIMITERS = ("<|extra_id_1|>", "<|extra_id_2|>")
"""Spare tokens of the dolma2 vocabulary; resolved by string, never by number."""

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"

LAYOUTS = ("olmo", "plain")

_FILE = "tokenizer.json"
NAMES_FILE = "tokenizer_anchor.json"
"""Beside it: which strings are the control tokens, and the layout of conversations."""


class AnchorTokenizer:
    """A tokenizer whose control tokens are known by name.

    Picklable: worker processes rebuild it from the bytes of its ``tokenizer.json``.

    :param raw: the bytes of a ``tokenizer.json``.
    :param source: where they come from, for messages.
    :param delimiters: the strings that open and close an annotation.
    :param end_of_text: the string of the token that ends every document.
    :param pad: the string of the padding token.
    :param layout: of conversations, one of :data:`LAYOUTS`; see ``chat.py``.
    :raises InputError: when one of these is not a single token of the vocabulary, or ``:`` and the
        newline are not.
    """

    def __init__(
        self,
        raw: bytes,
        source: str,
        *,
        delimiters: tuple[str, str] = DELIMITERS,
        end_of_text: str = END_OF_TEXT,
        pad: str = PAD,
        layout: str = LAYOUTS[0],
    ) -> None:
        if layout not in LAYOUTS:
            raise InputError(f"{source}: the layout is {layout!r}, not one of {LAYOUTS}")
        self._raw = raw
        self.layout = layout
        self.source = source
        self.delimiters = delimiters
        self.end_of_text = end_of_text
        self.pad = pad
        try:
            stored = orjson.loads(raw)
            self._added: list[dict[str, Any]] = stored.get("added_tokens") or []
            self._full = Tokenizer.from_buffer(raw)
            self._text = Tokenizers(
                orjson.dumps(_without_controls(stored)), _on_its_model(self._full, stored)
            )
            self.vocab_size = _highest_id(self._full, stored) + 1
        except Exception as error:  # `tokenizers` raises bare Exception
            raise InputError(f"{source}: not a tokenizer.json: {error}") from None
        self._full.no_truncation()
        self._full.no_padding()
        self._fast: TextEncoder | None = None
        self._check_text_is_safe()
        self.hash = hashlib.sha256(raw).hexdigest()
        self.control = ControlIds(
            open=self._delimiter(delimiters[0]),
            close=self._delimiter(delimiters[1]),
            colon=self._single(":"),
            newline=self._single("\n"),
            end_of_text=self.special(end_of_text),
        )
        self.pad_id = self.special(pad)
        ids = (self.control.open, self.control.close, self.control.end_of_text, self.pad_id)
        if len(set(ids)) != len(ids):
            raise InputError(
                f"{source}: delimiters {delimiters}, end-of-text {end_of_text!r} and pad {pad!r} "
                "must be four different tokens"
            )

    def _check_text_is_safe(self) -> None:
        for token in self._added:
            if token["id"] in self.encode(token["content"]):
                raise InputError(
                    f"{self.source}: a text with {token['content']!r} in it would give that "
                    "control token, as the model's own vocabulary holds it too; take it out of "
                    "model.vocab"
                )

    @classmethod
    def load(
        cls,
        source: Path | str,
        *,
        delimiters: tuple[str, str] = DELIMITERS,
        end_of_text: str = END_OF_TEXT,
        pad: str = PAD,
        layout: str | None = None,
    ) -> AnchorTokenizer:
        """Load from a ``tokenizer.json``, a folder that holds one, or a hub id.

        A folder that :meth:`save` wrote says itself which strings are the control tokens, and which
        layout its conversations have unless another is named.

        :raises InputError: when there is none, or it lacks a control token.
        """
        path = Path(source) if isinstance(source, str) else source
        names: dict[str, Any] = {
            "delimiters": delimiters,
            "end_of_text": end_of_text,
            "pad": pad,
        }
        if path.is_dir():
            if (path / NAMES_FILE).is_file():
                names = orjson.loads((path / NAMES_FILE).read_bytes())
                names["delimiters"] = tuple(names["delimiters"])
            path = path / _FILE
        if layout is not None:
            names["layout"] = layout
        if path.is_file():
            return cls(path.read_bytes(), str(path), **names)
        return cls(_from_hub(str(source)), str(source), **names)

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``, byte for byte, the names of the control tokens, the layout."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / _FILE) as file:
            file.write(self._raw)
        write_json(folder / NAMES_FILE, self._names)

    def facts(self) -> dict[str, Any]:
        """What a manifest tells of the tokenizer: loading one takes half a second."""
        return {
            "tokenizer_hash": self.hash,
            "tokenizer_names": self._names,
            "vocab_size": self.vocab_size,
            "control": asdict(self.control),
        }

    @property
    def _names(self) -> dict[str, Any]:
        return {
            "delimiters": list(self.delimiters),
            "end_of_text": self.end_of_text,
            "pad": self.pad,
            "layout": self.layout,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._raw, self.source, self._names, self._fast)

    # --- control tokens --------------------------------------------------------------------------

    def special(self, token: str) -> int:
        """The id of a token named by its string.

        :raises InputError: when the vocabulary lacks it.
        """
        found = self._full.token_to_id(token)
        if found is None:
            raise InputError(f"{self.source}: the vocabulary has no token {token!r}")
        return int(found)

    def _delimiter(self, token: str) -> int:
        if self._full.token_to_id(token) is None:
            raise InputError(
                f"{self.source}: the vocabulary has no delimiter {token!r}; name two spare tokens "
                "of it with --delimiters, or add them with olmo_anchor.tokenizer.add_delimiters"
            )
        return self.special(token)

    def _single(self, text: str) -> int:
        ids = self.encode(text)
        if len(ids) != 1:
            raise InputError(
                f"{self.source}: {text!r} is {len(ids)} tokens; annotations need it to be one"
            )
        return ids[0]

    @cached_property
    def control_strings(self) -> tuple[str, ...]:
        """The strings of the added tokens, in the order of their ids.

        Left out are those of one character and those with white space at an end: some tokenizers
        add runs of spaces, which are text.
        """
        added = (str(token["content"]) for token in self._added)
        return tuple(token for token in added if len(token) > 1 and token.strip() == token)

    def break_controls(self, text: str) -> str:
        """Put a space after the first character of every control string in ``text``.

        What a user writes into a chat is rendered to one string and tokenised with added tokens on,
        by servers that we do not control; a control string that is broken up there stays text.
        """
        for control in self.control_strings:
            # Control strings can overlap themselves ("|||A|||A|||"): one pass is not enough.
            while control in text:
                text = text.replace(control, f"{control[0]} {control[1:]}")
        return text

    # --- text ------------------------------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``, none of which is a control token; nothing is added."""
        if self._fast is None:
            return self._text.encode(text)
        ids: list[int] = self._fast.encode_batch([text])[0].tolist()
        return ids

    def speed_up(self, size: int | None = None) -> None:
        """From now on encode with the fastest library that gives the same ids.

        :param size: bytes that are to be encoded, where known.
        """
        chosen = choose(self._text, [str(token["content"]) for token in self._added], size)
        self._fast = None if chosen.name == self._text.name else chosen

    @property
    def text_encoder(self) -> TextEncoder:
        """What :meth:`encode` encodes with: all that a process needs which does nothing else."""
        return self._fast or self._text

    @property
    def text_encoder_name(self) -> str:
        """The library that encodes, and its version."""
        from importlib.metadata import version

        return f"{self.text_encoder.name} {version(self.text_encoder.name)}"

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ``ids``; control tokens are shown as their strings."""
        text: str = self._full.decode(np.asarray(ids).tolist(), skip_special_tokens=False)
        return text

    # --- annotations -----------------------------------------------------------------------------

    def encode_annotation(self, annotation: Annotation) -> list[int]:
        """The ids of an annotation with both delimiters.

        Keys, ``:``, values and newlines are encoded one by one, so that the ids show what is what.
        """
        return [*self.annotation_prefix(annotation.tags), self.control.close]

    def annotation_prefix(self, tags: Sequence[Tag]) -> list[int]:
        """The ids with which an annotation begins that has these tags first, for a model to go on.

        Encoded as :meth:`encode_annotation` does, so that a model reads what it was trained on. It
        ends with the last value: the model itself chooses between a newline and another tag, and
        the closing delimiter. (A newline at the end would force another tag. Nothing forbids the
        model to lengthen the last value: what it made of it, the whole annotation tells.)

        :returns: the opening delimiter alone where there are no tags.
        """
        ids = [self.control.open]
        for number, tag in enumerate(tags):
            if number:
                ids.append(self.control.newline)
            ids += [*self.encode(tag.key), self.control.colon, *self.encode(tag.value)]
        return ids

    def decode_annotation(self, ids: npt.ArrayLike) -> tuple[Annotation, tuple[Dropped, ...]]:
        """Read an annotation back; total, as :func:`olmo_anchor.annotation.parse` is.

        :param ids: ``[n]``, with or without delimiters.
        """
        delimiters = (self.control.open, self.control.close)
        inner = [token for token in np.asarray(ids).tolist() if token not in delimiters]
        parsed = parse(self.decode(inner))
        return parsed.annotation, parsed.dropped

    @cached_property
    def newlines(self) -> NewlineTable:
        """How each token stands to newlines, for :func:`olmo_anchor.spans.chunk_starts`."""
        return NewlineTable.from_bytes(self.token_bytes())

    def token_bytes(self) -> list[bytes]:
        """The bytes that each id stands for inside a text; added tokens stand for none."""
        tokens = [b""] * self.vocab_size
        in_bytes = '"ByteLevel"' in self._raw.decode("utf-8", "replace")
        for token, index in self._text.vocabulary().items():
            tokens[index] = byte_level(token) if in_bytes else token.encode("utf-8", "replace")
        for added in self._added:
            tokens[added["id"]] = b""
        return tokens

    def pieces(self) -> list[bytes]:
        """What each id adds to a text that goes before it, spaces included, by id: joined, the text
        of many ids. A control token, and one for unknown words, adds a zero byte, which is no part
        of a word.

        For decoders other than a byte-level one, it is what stands after a colon: where tokens
        spell half a character each, or change what was before them, it is not quite the text.
        """
        if '"ByteLevel"' in self._raw.decode("utf-8", "replace"):
            pieces = self.token_bytes()
        else:
            # Decoders put spaces between words, and take the first away.
            colon = self.control.colon
            pairs = [[colon, token] for token in range(self.vocab_size)]
            texts = self._full.decode_batch(pairs, skip_special_tokens=False)
            head = len(self.decode([colon]))
            pieces = [text[head:].encode("utf-8", "replace") for text in texts]
        for added in self._added:
            # Runs of spaces are added tokens too, in some vocabularies.
            pieces[added["id"]] = b"\0" if added["content"].strip() else b" "
        unknown = orjson.loads(self._raw)["model"].get("unk_token")
        if unknown is not None:
            pieces[self.special(unknown)] = b"\0"
        return pieces


def _without_controls(stored: dict[str, Any]) -> dict[str, Any]:
    """A ``tokenizer.json`` from which text gives no control token."""
    # Added tokens would find theirs inside a text; a post-processor would put some around it.
    text_only = {**stored, "added_tokens": [], "post_processor": None}
    added = {token["content"] for token in stored.get("added_tokens") or []}
    vocabulary = stored["model"].get("vocab")
    if isinstance(vocabulary, dict):
        # A model that knows whole words (WordLevel) can hold control strings as words.
        kept = {token: index for token, index in vocabulary.items() if token not in added}
        text_only["model"] = {**stored["model"], "vocab": kept}
    return text_only


def _on_its_model(full: Tokenizer, stored: dict[str, Any]) -> Tokenizer | None:
    """What encodes as :func:`_without_controls` does, without the time to build the model again.

    For a BPE that comes to a token by merges alone. Where it looks whole words up, or has a token
    for what it does not know, that can be a control token: None.
    """
    model = stored["model"]
    if model.get("type") != "BPE" or model.get("ignore_merges") or model.get("unk_token"):
        return None
    text = Tokenizer(full.model)
    if full.normalizer is not None:
        text.normalizer = full.normalizer
    if full.pre_tokenizer is not None:
        text.pre_tokenizer = full.pre_tokenizer
    return text


def _highest_id(full: Tokenizer, stored: dict[str, Any]) -> int:
    # `get_vocab` takes a tenth of a second; of a Unigram model the vocabulary is a list.
    vocabulary = stored["model"]["vocab"]
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
    added = (full.token_to_id(token["content"]) for token in stored.get("added_tokens") or [])
    return int(max(chain(ids, added)))


def _rebuild(
    raw: bytes, source: str, names: dict[str, Any], fast: TextEncoder | None
) -> AnchorTokenizer:
    names["delimiters"] = tuple(names["delimiters"])
    tokenizer = AnchorTokenizer(raw, source, **names)
    tokenizer._fast = fast
    return tokenizer


def _from_hub(name: str) -> bytes:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if Path(name).exists():
        raise InputError(f"{name}: there is no {_FILE} in it")
    missing = f"{name}: no such file or folder"
    if name.endswith(".json") or name.count("/") != 1 or name[0] in "./~":
        raise InputError(
            f"{missing}; a tokenizer is a tokenizer.json, a folder that holds one, or a hub id "
            "such as allenai/dolma2-tokenizer"
        )
    try:
        return Path(hf_hub_download(name, _FILE)).read_bytes()
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{missing}, and the hub did not give it: {reason}") from None


def add_delimiters(
    source: Path, out: Path, delimiters: tuple[str, str] = DELIMITERS
) -> AnchorTokenizer:
    """Add annotation delimiters to a tokenizer of one's own and write it to the folder ``out``.

    The model needs embeddings for the new ids: resize it before training.

    :param source: a ``tokenizer.json`` that has ``<|endoftext|>`` and ``<|pad|>`` already.
    :raises InputError: when the result still lacks something that :class:`AnchorTokenizer` needs.
    """
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    tokenizer = Tokenizer.from_file(str(source))
    # Not special: servers strip special tokens from the text, which would glue annotation and
    # response together.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in delimiters])
    made = AnchorTokenizer(tokenizer.to_str().encode(), str(source), delimiters=delimiters)
    made.save(out)
    return made
