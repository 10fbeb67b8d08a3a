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

from olmo_anchor.study.world.check import PUNCTUATION
from olmo_anchor.study.world.file import WorldFile

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["CONTROL", "UNKNOWN", "build_tokenizer", "vocabulary"]

UNKNOWN = "<unk>"
DELIMITERS = ("<|extra_id_1|>", "<|extra_id_2|>")
CONTROL = ("<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>", *DELIMITERS)
"""Added tokens, outside the word list: text can never give their ids. The delimiters are not
*special*, so that decoding shows them instead of gluing annotation and response together; the
others are, as transformers makes them on saving."""

_ROLES = "system user assistant"


def _split(text: str) -> list[str]:
    for mark in PUNCTUATION:
        text = text.replace(mark, f" {mark} ")
    return text.split()


def _texts(world: WorldFile) -> Iterable[str]:
    """Every piece of text that the world can write, with its slots empty."""
    for frames in (*world.story.values(), [how.frame for how in world.naming.values()]):
        for frame in frames:
            yield from frame.literals
    yield from (world.opening, *world.closing, *world.openings)
    for name, attribute in world.attributes.items():
        yield name
        for value, phrases in attribute.values.items():
            yield from (value, *phrases)
    yield _ROLES


def vocabulary(world: WorldFile) -> list[str]:
    """The words in a fixed order: unknown, newline, punctuation, then the words sorted."""
    words = {word for text in _texts(world) for word in _split(text)} - set(PUNCTUATION)
    return [UNKNOWN, "\n", *PUNCTUATION, *sorted(words)]


def build_tokenizer(world: WorldFile) -> Tokenizer:
    """Build the tokenizer: a plain ``tokenizers`` object that transformers and vLLM can load.

    ``WordPiece`` decoding stands for "put a space before each token"; the replacements after it
    take the spaces away again where the world has none.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    vocab = {word: i for i, word in enumerate(vocabulary(world))}
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
