"""A tokenizer of whole words for the story world.

A word is one token wherever it stands: there are no variants with a leading space, so that a topic
in an annotation, in a request and in a story is made of the same ids. Spaces are not tokens; the
decoder puts one before every word that follows a word or a punctuation mark. Therefore
``decode(encode(x)) == x`` for text with single spaces, as the world writes it. A word outside the
vocabulary becomes ``<unk>``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from olmo_anchor.study import wording
from olmo_anchor.study.world import Request

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["CONTROL", "UNKNOWN", "build_tokenizer", "vocabulary"]

PUNCTUATION = (".", ",", "!", "?", ":")
UNKNOWN = "<unk>"
DELIMITERS = ("<|extra_id_1|>", "<|extra_id_2|>")
CONTROL = ("<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>", *DELIMITERS)
"""Added tokens, outside the word list: text can never give their ids. The delimiters are not
*special*, so that decoding shows them instead of gluing annotation and response together; the
others are, as transformers makes them on saving."""

_ROLES = "system user assistant"
_KEYS = "topic name place persona"


def _split(text: str) -> list[str]:
    for mark in PUNCTUATION:
        text = text.replace(mark, f" {mark} ")
    return text.split()


def _texts() -> Iterable[str]:
    """Every piece of text that the world can write, with its slots empty."""
    middles = (*wording.MIDDLES, *wording.PAUSES)
    frames = (*wording.WELCOMES, *wording.TURNS, *middles, *wording.ENDINGS)
    for frame in (*frames, wording.STYLE_CLOSE):
        bare = frame
        for slot in ("{N}", "{P}", "{K}", "{L}"):
            bare = bare.replace(slot, " ")
        yield bare
    yield wording.STYLE_OPEN
    for persona, said in wording.PERSONAS.items():
        yield from (persona, *said)
    for topic, phrases in wording.TOPICS.items():
        yield from (topic, *phrases)
    yield from (*wording.NAMES, *wording.PLACES, *wording.LESSONS)
    yield from (Request(verb, "", "", "").text for verb in wording.VERBS)
    yield from ("about", "with", "at the", _ROLES, _KEYS)


def vocabulary() -> list[str]:
    """The words in a fixed order: unknown, newline, punctuation, then the words sorted."""
    words = {word for text in _texts() for word in _split(text)} - set(PUNCTUATION)
    return [UNKNOWN, "\n", *PUNCTUATION, *sorted(words)]


def build_tokenizer() -> Tokenizer:
    """Build the tokenizer: a plain ``tokenizers`` object that transformers and vLLM can load.

    ``WordPiece`` decoding stands for "put a space before each token"; the replacements after it
    take the spaces away again where the world has none.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    vocab = {word: i for i, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=UNKNOWN))
    marks = "".join(PUNCTUATION)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", behavior="removed"),
            pre_tokenizers.Split(Regex(f"[{marks}\n]"), behavior="isolated"),
        ]
    )
    tight = [decoders.Replace(f" {mark}", mark) for mark in (*PUNCTUATION, "\n")]
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="\0", cleanup=False),
            decoders.Fuse(),
            *tight,
            decoders.Replace("\n ", "\n"),
        ]
    )
    tokenizer.add_tokens(
        [AddedToken(text, special=text not in DELIMITERS, normalized=False) for text in CONTROL]
    )
    return tokenizer
