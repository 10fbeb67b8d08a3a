"""Which documents are chosen: the same for ever, in every arm and format, and counted."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import InMemoryDocumentSource

from olmo_anchor.cli import cli
from olmo_anchor.corpus.materialise import MaterialiseConfig
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import file_record, read_manifest
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.indexed import IndexedInstanceSource
from olmo_anchor.training.instances import PaddedInstanceSource, PaddedInstanceSourceConfig
from olmo_anchor.training.packing import PackedInstanceSourceConfig
from olmo_anchor.training.selection import DocumentSelection
from olmo_anchor.training.source import (
    InterleavedDocumentSource,
    InterleavedDocumentSourceConfig,
)
from tests.training.conftest import Corpus
from tests.training.folders import write_tokens

TOKENIZER = TokenizerConfig(vocab_size=400, eos_token_id=0, pad_token_id=1)


# Of runs that were made, and so never to change: what was held out from them would be trained.
IDS = {
    "personahub_7jiqtwn": 15421796765801484083,
    "oasst1_28": 625486708147714968,
    "tulu-3/1": 11912977816849504173,
    "ß": 4847535884762067431,
    "a": 3753381419394725002,
    "b": 6540007711401705997,
    "c": 8719666508207797188,
    "d": 6586231621045381919,
}
HELD_OUT = [0, 1, 0, 0, 1, 0, 0, 0]
"""Of a quarter: where the upper half of the key is below 2**30."""
HALF = [1, 0, 0, 1, 0, 0, 0, 0]
"""Of shares: where the lower half is below 2**31."""


def source_of(tokens: Path, overlay: Path | None = None, **options: Any) -> Any:
    path = None if overlay is None else str(overlay)
    return InterleavedDocumentSourceConfig(str(tokens), path, **options)


def keys_of(config: InterleavedDocumentSourceConfig, work: Path) -> list[int]:
    keys: list[int] = []
    for source in config.build(work):
        assert isinstance(source, InterleavedDocumentSource)
        keys += source.document_keys().tolist()
    return keys


def name_documents(tokens: Path, names: list[list[str]]) -> None:
    """Give the documents ids, as the third column of the ``.csv.gz``."""
    manifest = read_manifest(tokens, "tokens")
    for entry, of_part in zip(manifest.extra["parts"], names, strict=True):
        path = tokens / entry["csv"]["path"]
        with gzip.open(path, "rt") as file:
            rows = [",".join(line.strip().split(",")[:2]) for line in file]
        with gzip.open(path, "wt") as file:
            file.writelines(f"{row},{name}\n" for row, name in zip(rows, of_part, strict=True))
        entry["csv"] = file_record(path, tokens)
    manifest.write(tokens)


def taken(dataset: IndexedInstanceSource, corpus: Corpus) -> set[int]:
    """The numbers of the conversations of ``chat`` in it, which their first tokens tell."""
    end_of_text = corpus.tokenizer.control.end_of_text
    users = [corpus.tokenizer.encode(f"user {number}?") for number in range(64)]
    found = []
    for k in range(len(dataset)):
        ids = list(map(int, dataset[k]["input_ids"]))
        ends = [at + 1 for at, token in enumerate(ids) if token == end_of_text]
        for begin in (0, *ends):
            found += [n for n, user in enumerate(users) if ids[begin : begin + len(user)] == user]
    assert len(found) == len(set(found)) == dataset.counts.documents
    return set(found)


# --- which ---------------------------------------------------------------------------------------


def test_the_split_never_moves(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    end = tiny.control.end_of_text
    tokens = write_tokens(tmp_path / "t", [[[10 + k, end] for k in range(9)]], tiny)
    # The last has no id: BLAKE2b of 18 and the end-of-text in four bytes each.
    name_documents(tokens, [[*IDS, ""]])
    *keys, unnamed = keys_of(source_of(tokens, annotations=False), tmp_path)
    assert keys == list(IDS.values())
    assert (end, unnamed) == (295, 17845843709184466458)
    held_out, everything = DocumentSelection("held_out", 0.25).choose(np.array(keys, np.uint64))
    assert held_out.astype(int).tolist() == HELD_OUT
    assert everything.all()
    train, half = DocumentSelection("train", 0.25, 0.5).choose(np.array(keys, np.uint64))
    assert train.astype(int).tolist() == [1 - held for held in HELD_OUT]
    assert half.astype(int).tolist() == HALF


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.3]))
def test_shares_are_nested_and_splits_are_parts_of_the_whole(seed: int, held_out: float) -> None:
    keys = np.random.default_rng(seed).integers(0, 2**64 - 1, 300, np.uint64)

    def choose(split: str, share: float) -> set[int]:
        split_has, share_has = DocumentSelection(split, held_out, share).choose(keys)
        return set(np.flatnonzero(split_has & share_has).tolist())

    held, whole = choose("held_out", 1.0), choose("all", 1.0)
    assert choose("held_out", 1 / 64) == held
    assert whole == set(range(300))
    assert choose("train", 1.0) == whole - held
    for split in ("train", "all"):
        smaller: set[int] = set()
        for share in (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0):
            larger = choose(split, share)
            assert smaller <= larger
            smaller = larger
        assert smaller == choose(split, 1.0)


def test_shares_are_of_their_size_and_independent_of_the_split() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64 - 1, 200_000, np.uint64)
    train, quarter = DocumentSelection("train", 0.1, 0.25).choose(keys)
    assert abs(train.mean() - 0.9) < 0.005
    assert abs(quarter[train].mean() - 0.25) < 0.005
    assert abs(quarter[~train].mean() - 0.25) < 0.02


# --- of every arm and format ---------------------------------------------------------------------


def test_ids_as_tokenize_records_them(tiny_tokenizer_file: Path, tmp_path: Path) -> None:
    records = [{"id": "a", "text": "The cat."}, {"text": "The dog."}, {"id": "b", "text": "Mat."}]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(map(orjson.dumps, records)))
    command = ["tokenize", str(tmp_path / "x.jsonl"), "--tokenizer", str(tiny_tokenizer_file)]
    done = CliRunner().invoke(cli, [*command, "--out", str(tmp_path / "t")])
    assert done.exit_code == 0, done.output
    a, unnamed, b = keys_of(source_of(tmp_path / "t", annotations=False), tmp_path)
    assert (a, b) == (IDS["a"], IDS["b"])
    # A record without an id is named after its line: its text may change, its split does not.
    records[1]["text"] = "Another one."
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(map(orjson.dumps, records)))
    done = CliRunner().invoke(cli, [*command, "--out", str(tmp_path / "u")])
    assert keys_of(source_of(tmp_path / "u", annotations=False), tmp_path) == [a, unnamed, b]


@pytest.mark.parametrize("named", [True, False])
def test_arms_and_formats_know_a_document_by_one_key(
    named: bool, chat: Corpus, tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    masks = np.fromfile(chat.tokens / "labels_mask_part_0000.npy", bool)
    bounds = np.cumsum([len(document) for document in chat.documents[0]])[:-1]
    split = [part.tolist() for part in np.split(masks, bounds)]
    tokens = write_tokens(tmp_path / "t", chat.documents, tiny, [split], "all")
    if named:
        name_documents(tokens, [[f"chat {k}" for k in range(64)]])
    MaterialiseConfig(tokens=tokens, overlay=chat.overlay, out=tmp_path / "m").run()
    laid_in = keys_of(source_of(tokens, chat.overlay), tmp_path)
    assert len(set(laid_in)) == 64
    assert keys_of(source_of(tokens, chat.overlay, annotations=False), tmp_path) == laid_in
    assert keys_of(source_of(tokens, annotations=False), tmp_path) == laid_in
    assert keys_of(source_of(tmp_path / "m"), tmp_path) == laid_in


# --- in instances --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PaddedInstanceSourceConfig, PackedInstanceSourceConfig])
def test_instances_of_a_selection(kind: Any, chat: Corpus, tmp_path: Path) -> None:
    def build(selection: DocumentSelection | None, laid_in: bool = True) -> IndexedInstanceSource:
        source = source_of(chat.tokens, chat.overlay, annotations=laid_in)
        config = kind([source], 160, TOKENIZER, selection=selection)
        dataset: IndexedInstanceSource = config.build(tmp_path)
        return dataset

    whole = build(None)
    held, train = (
        build(DocumentSelection(split, held_out=0.25)) for split in ("held_out", "train")
    )
    quarter = build(DocumentSelection("train", held_out=0.25, share=0.25))
    assert taken(held, chat) | taken(train, chat) == taken(whole, chat) == set(range(64))
    assert taken(held, chat) & taken(train, chat) == set()
    assert taken(quarter, chat) < taken(train, chat)
    assert len({one.fingerprint for one in (whole, held, train, quarter)}) == 4
    for one in (held, train, quarter):
        counts = one.counts
        left_out = counts.other_split + counts.outside_share
        assert counts.documents + left_out == 64
    assert held.counts.other_split == train.counts.documents
    assert (train.counts.other_split, train.counts.outside_share) == (held.counts.documents, 0)
    assert quarter.counts.other_split == held.counts.documents
    # The other arm has the same conversations.
    standard = build(DocumentSelection("train", held_out=0.25, share=0.25), laid_in=False)
    assert taken(standard, chat) == taken(quarter, chat)


def test_what_is_left_out_anyway_is_not_counted_again(patchy_chat: Corpus, tmp_path: Path) -> None:
    for split in ("train", "held_out"):
        source = source_of(patchy_chat.tokens, patchy_chat.overlay)
        selection = DocumentSelection(split, 0.25)
        config = PaddedInstanceSourceConfig([source], 160, TOKENIZER, selection=selection)
        counts = config.build(tmp_path).counts
        assert (counts.unannotated, counts.untrained) == (2, 0)
        assert counts.documents + counts.other_split == 62


@pytest.mark.parametrize("kind", [PaddedInstanceSourceConfig, PackedInstanceSourceConfig])
def test_long_documents_of_the_other_split_are_not_refused(
    kind: Any, tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    end = tiny.control.end_of_text
    tokens = write_tokens(tmp_path / "t", [[[10, 11, 12, 13, end], [14, end]]], tiny)
    name_documents(tokens, [["a", "b"]])
    source = source_of(tokens, annotations=False)

    def build(split: str) -> IndexedInstanceSource:
        selection = DocumentSelection(split, 0.25)
        dataset: IndexedInstanceSource = kind(
            [source], 4, TOKENIZER, refuse_long=True, selection=selection
        ).build(tmp_path)
        return dataset

    assert build("train").counts.documents == 1
    with pytest.raises(InputError, match="1 of 2 documents are longer"):
        build("held_out")


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PaddedInstanceSourceConfig, PackedInstanceSourceConfig])
def test_a_selection_that_leaves_nothing_is_refused_with_the_numbers(
    kind: Any, chat: Corpus, tmp_path: Path
) -> None:
    source = source_of(chat.tokens, chat.overlay)
    config = kind([source], 160, TOKENIZER, selection=DocumentSelection("held_out", 1e-6))
    with pytest.raises(InputError, match=r"none of 64 documents, 0 of .*\.held_out="):
        config.build(tmp_path)
    config.selection = DocumentSelection("train", 0.25, 1e-6)
    with pytest.raises(InputError, match=r"=1e-06\) leaves none of 64 .* 51 of .*\.share="):
        config.build(tmp_path)


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (DocumentSelection("test"), "selection.split is 'test'; it is one of all, train, held_out"),
        (DocumentSelection(held_out=1.0), "selection.held_out is 1.0"),
        (DocumentSelection(held_out=-0.1), "selection.held_out is -0.1"),
        (DocumentSelection(share=0.0), "selection.share is 0.0"),
        (DocumentSelection(share=64), "selection.share is 64"),
    ],
)
def test_settings_that_are_none_are_refused(
    selection: DocumentSelection, said: str, chat: Corpus, tmp_path: Path
) -> None:
    config = PackedInstanceSourceConfig(
        [source_of(chat.tokens, chat.overlay)], 160, TOKENIZER, selection=selection
    )
    with pytest.raises(InputError, match=said):
        config.build(tmp_path)


def test_sources_that_name_no_documents_cannot_be_selected_from(tmp_path: Path) -> None:
    source = InMemoryDocumentSource([10, 11, 0], tokenizer=TOKENIZER, work_dir=tmp_path, label="x")
    config = PaddedInstanceSourceConfig([], 8, TOKENIZER, selection=DocumentSelection())
    with pytest.raises(InputError, match="x: a InMemoryDocumentSource does not name"):
        PaddedInstanceSource(source, config=config, work_dir=tmp_path)
