"""A small annotated corpus and a small conversation corpus, written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from olmo_anchor.annotation import Annotation, Tag
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.training.folders import Annotations, Documents, write_overlay, write_tokens


@dataclass(frozen=True)
class Corpus:
    tokens: Path
    overlay: Path
    documents: list[Documents]
    annotations: list[Annotations]
    tokenizer: AnchorTokenizer


def annotate(tokenizer: AnchorTokenizer, *tags: tuple[str, str]) -> list[int]:
    return tokenizer.encode_annotation(Annotation(tuple(Tag(*tag) for tag in tags)))


@pytest.fixture(scope="session")
def prose(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """200 documents of one or two chunks in two parts; three quarters of the chunks annotated."""
    end = tiny.control.end_of_text
    parts, annotations = [], []
    for part in range(2):
        documents: Documents = []
        laid: Annotations = {}
        length = 0
        for number in range(100):
            chunks = [
                tiny.encode(f"The cat {number} sat on mat {part}.\n\n"),
                tiny.encode("The dog ran." * (number % 4)),
            ]
            chunks = [chunk for chunk in chunks if chunk]
            at = length
            for k, chunk in enumerate(chunks):
                if (number + k) % 4:
                    laid[at] = annotate(tiny, ("topic", f"cat {number}"), ("name", "Bo"))
                at += len(chunk)
            documents.append([*chain(*chunks), end])
            length += len(documents[-1])
        parts.append(documents)
        annotations.append(laid)
    folder = tmp_path_factory.mktemp("prose")
    tokens = write_tokens(folder / "tokens", parts, tiny)
    overlay = write_overlay(folder / "overlay", tokens, parts, annotations, tiny)
    return Corpus(tokens, overlay, parts, annotations, tiny)


@pytest.fixture(scope="session")
def chat(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """64 conversations, every other one of two turns; the last turn is annotated."""
    end = tiny.control.end_of_text
    documents: Documents = []
    masks: list[list[bool]] = []
    laid: Annotations = {}
    length = 0
    for number in range(64):
        turns = 1 + number % 2
        ids: list[int] = []
        mask: list[bool] = []
        for turn in range(turns):
            user, reply = tiny.encode(f"user {number}?"), tiny.encode(f"The mat {number}.")
            if turn == turns - 1:
                laid[length + len(ids) + len(user)] = annotate(tiny, ("topic", f"mat {number}"))
                reply = [*reply, end]
            ids += user + reply
            mask += [False] * len(user) + [True] * len(reply)
        documents.append(ids)
        masks.append(mask)
        length += len(ids)
    folder = tmp_path_factory.mktemp("chat")
    tokens = write_tokens(folder / "tokens", [documents], tiny, [masks], "all")
    overlay = write_overlay(folder / "overlay", tokens, [documents], [laid], tiny, masks=[masks])
    return Corpus(tokens, overlay, [documents], [laid], tiny)


@pytest.fixture(scope="session")
def patchy_chat(chat: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The same conversations; the second and the fifth have lost their annotation."""
    laid = {
        start: ids for k, (start, ids) in enumerate(chat.annotations[0].items()) if k not in (1, 4)
    }
    mask = np.fromfile(chat.tokens / "labels_mask_part_0000.npy", bool).tolist()
    overlay = write_overlay(
        tmp_path_factory.mktemp("patchy") / "overlay",
        chat.tokens,
        chat.documents,
        [laid],
        chat.tokenizer,
        masks=[[mask]],
    )
    return Corpus(chat.tokens, overlay, chat.documents, [laid], chat.tokenizer)
