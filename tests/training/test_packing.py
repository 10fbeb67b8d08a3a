"""Packed instances: the bins, whole documents, the same rows in every arm, the real loader."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import (
    ComposableDataLoaderConfig,
    DocumentSource,
    InMemoryDocumentSource,
    InstanceSource,
    PackingInstanceSource,
)
from olmo_core.data.utils import InstancePacker

from olmo_anchor.corpus.materialise import MaterialiseConfig
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.policy import MaskPolicy, policy_mask
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.collator import AnchorCollatorConfig
from olmo_anchor.training.packing import (
    PackedInstanceSource,
    PackedInstanceSourceConfig,
    best_fit,
)
from olmo_anchor.training.source import (
    InterleavedDocumentSource,
    InterleavedDocumentSourceConfig,
)
from tests.training.conftest import Corpus
from tests.training.folders import Annotations, Documents, write_overlay, write_tokens

PAD, END = 1, 0
TOKENIZER = TokenizerConfig(vocab_size=400, eos_token_id=END, pad_token_id=PAD)


def in_memory(documents: Documents, work: Path) -> DocumentSource:
    """Tokens of 50 and above are trained."""
    ids = np.array([*chain(*documents)])
    return InMemoryDocumentSource(ids, tokenizer=TOKENIZER, work_dir=work, label_mask=ids >= 50)


def packed(
    sources: Sequence[DocumentSource], work: Path, length: int = 8, **options: Any
) -> PackedInstanceSource:
    config = PackedInstanceSourceConfig([], length, TOKENIZER, **options)
    return PackedInstanceSource(*sources, config=config, work_dir=work)


def rows(source: InstanceSource, key: str = "input_ids") -> list[list[int]]:
    return [list(map(int, source[k][key])) for k in range(len(source))]  # type: ignore[literal-required]


def sources_of(corpus: Corpus, work: Path, **options: Any) -> list[InterleavedDocumentSource]:
    config = InterleavedDocumentSourceConfig(str(corpus.tokens), str(corpus.overlay), **options)
    return config.build(work)  # type: ignore[return-value]


# --- the bins ------------------------------------------------------------------------------------


def test_bins_by_hand() -> None:
    # 6 and 5 open bins of 10; 4 fills the first; 3 goes into the second, which then has 2 left.
    assert best_fit(np.array([6, 5, 4, 3, 2, 2]), 10).tolist() == [0, 1, 0, 1, 1, 2]
    # Of two bins with 3 left the first is filled first.
    assert best_fit(np.array([7, 7, 3, 3, 1]), 10).tolist() == [0, 1, 0, 1, 2]
    assert best_fit(np.array([10, 10]), 10).tolist() == [0, 1]
    assert best_fit(np.zeros(0, np.int64), 10).tolist() == []


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 9), st.data())
def test_the_bins_of_olmo_core(power: int, data: st.DataObject) -> None:
    capacity = 2**power
    lengths = sorted(data.draw(st.lists(st.integers(1, capacity), max_size=80)), reverse=True)
    bounds = np.array([(0, length) for length in lengths], np.uint64).reshape(-1, 2)
    theirs, _, _ = InstancePacker(capacity).pack_documents(bounds)
    ours = best_fit(np.array(lengths, np.int64), capacity)
    assert [np.flatnonzero(ours == k).tolist() for k in range(len(theirs))] == theirs
    assert len(ours) == len(lengths)


# --- the rows ------------------------------------------------------------------------------------


def test_rows_by_hand(tmp_path: Path) -> None:
    documents = [[10, 60, END], [11, 61, 62, 63, END], [12, 64, END], [13, 65, END], [14, 66, END]]
    source = packed([in_memory(documents, tmp_path)], tmp_path)
    # The longest first; of equal lengths the earlier.
    assert rows(source) == [
        [11, 61, 62, 63, END, 10, 60, END],
        [12, 64, END, 13, 65, END, PAD, PAD],
        [14, 66, END, PAD, PAD, PAD, PAD, PAD],
    ]
    assert rows(source, "label_mask") == [
        [0, 1, 1, 1, 0, 0, 1, 0],
        [0, 1, 0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
    ]
    assert source[0]["input_ids"].dtype == torch.int64  # type: ignore[attr-defined]
    counts = source.counts
    assert (counts.documents, counts.tokens, counts.truncated, counts.longest) == (5, 17, 0, 5)
    assert rows(source)[-1] == list(map(int, source[-1]["input_ids"]))
    with pytest.raises(IndexError):
        source[3]


def test_a_source_without_masks_trains_every_token_but_no_padding(tmp_path: Path) -> None:
    source = InMemoryDocumentSource(
        np.array([10, 11, END, 12, END]), tokenizer=TOKENIZER, work_dir=tmp_path
    )
    assert rows(packed([source], tmp_path), "label_mask") == [[1, 1, 1, 1, 1, 0, 0, 0]]


def test_sources_are_packed_each_by_itself(tmp_path: Path) -> None:
    one, other = in_memory([[10, 60, END]], tmp_path), in_memory([[11, 61, END]] * 2, tmp_path)
    source = packed([one, other], tmp_path, 16)
    assert rows(source) == [
        [10, 60, END] + [PAD] * 13,
        [11, 61, END, 11, 61, END] + [PAD] * 10,
    ]


def test_a_long_document_is_left_out_whole_and_counted(tmp_path: Path) -> None:
    documents = [[10, 60, END], [11] + [61] * 8 + [END], [12, 62, 63, END]]
    source = packed([in_memory(documents, tmp_path)], tmp_path)
    assert rows(source) == [[12, 62, 63, END, 10, 60, END, PAD]]
    assert (source.counts.too_long, source.counts.documents, source.counts.longest) == (1, 2, 10)
    refused = r"1 of 3 documents are longer than an instance of 8 tokens \(the longest has 10\)"
    # The index that is there already does not hide it.
    with pytest.raises(InputError, match=refused):
        packed([in_memory(documents, tmp_path)], tmp_path, refuse_long=True)
    with pytest.raises(InputError, match=r"1 of 1 documents are longer"):
        packed([in_memory(documents[1:2], tmp_path)], tmp_path)


def test_documents_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    # A document's first token is no target of its own: nothing in it tells what is to come.
    documents = [[10, 11, END], [60, 11, END], [10, 62, END], [END]]
    source = packed([in_memory(documents, tmp_path)], tmp_path)
    assert rows(source) == [[10, 62, END] + [PAD] * 5]
    assert (source.counts.untrained, source.counts.documents) == (3, 1)


def test_the_rows_of_olmo_cores_source(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    end, parts, annotations, masks = tiny.control.end_of_text, [], [], []
    # Lengths differ in every document, with annotations and without: OLMo-core's order of
    # documents of equal length is the processor's.
    lengths = iter((4 + 6 * rng.permutation(40)).tolist())
    for _ in range(2):
        documents = [[*rng.integers(10, 200, next(lengths)).tolist(), end] for _ in range(20)]
        begins = np.cumsum([0, *map(len, documents)]).tolist()
        laid = {
            begin + 1: [tiny.control.open, *[30] * (k % 3), tiny.control.close]
            for k, begin in enumerate(begins[:-1])
        }
        parts.append(documents)
        annotations.append(laid)
        masks.append([[False] + [True] * (len(one) - 1) for one in documents])
    tokens = write_tokens(tmp_path / "t", parts, tiny, masks, "final")
    overlay = write_overlay(tmp_path / "o", tokens, parts, annotations, tiny, masks=masks)
    corpus = Corpus(tokens, overlay, parts, annotations, tiny)
    sources = sources_of(corpus, tmp_path)
    ours = packed(sources, tmp_path, 256)
    stock = PackingInstanceSource(
        *sources, sequence_length=256, work_dir=tmp_path, tokenizer=TOKENIZER
    )
    assert ours.counts.documents == 40
    for key in ("input_ids", "label_mask"):
        assert rows(ours, key) == rows(stock, key)


# --- arms ----------------------------------------------------------------------------------------


def arm_rows(source: PackedInstanceSource, end: int) -> list[list[int]]:
    """By row the first token of each document: its number."""
    found = []
    for row in rows(source):
        ends = [k + 1 for k, token in enumerate(row) if token == end]
        found.append([row[begin] for begin in [0, *ends[:-1]]])
    return found


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 12)), min_size=1, max_size=25))
def test_both_arms_have_the_same_documents_in_every_row(
    tiny: AnchorTokenizer,
    tmp_path_factory: pytest.TempPathFactory,
    shapes: list[tuple[int, int]],
) -> None:
    folder, control = tmp_path_factory.mktemp("arms"), tiny.control
    documents: Documents = []
    laid: Annotations = {}
    at = 0
    for number, (tokens, annotation) in enumerate(shapes):
        documents.append([10 + number, *[5] * tokens, control.end_of_text])
        if annotation:
            laid[at + 1] = [control.open, *[30] * annotation, control.close]
        at += len(documents[-1])
    written = write_tokens(folder / "t", [documents], tiny)
    overlay = write_overlay(folder / "o", written, [documents], [laid], tiny)
    corpus = Corpus(written, overlay, [documents], [laid], tiny)
    annotated = packed(sources_of(corpus, folder), folder, 36)
    standard = packed(sources_of(corpus, folder, annotations=False), folder, 36)
    in_rows = arm_rows(annotated, control.end_of_text)
    assert in_rows == arm_rows(standard, control.end_of_text)
    assert sorted(chain(*in_rows)) == [10 + number for number in range(len(shapes))]
    tokens_alone = sum(map(len, documents))
    assert standard.counts.tokens == tokens_alone
    assert annotated.counts.tokens == tokens_alone + sum(map(len, laid.values()))


def test_arms_leave_the_same_documents_out(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    control = tiny.control
    documents = [[10, 5, 5, control.end_of_text], [11, 5, 5, 5, control.end_of_text]]
    laid = {5: [control.open, 30, 30, control.close]}
    tokens = write_tokens(tmp_path / "t", [documents], tiny)
    overlay = write_overlay(tmp_path / "o", tokens, [documents], [laid], tiny)
    corpus = Corpus(tokens, overlay, [documents], [laid], tiny)
    for laid_in in (True, False):
        arm = packed(sources_of(corpus, tmp_path, annotations=laid_in), tmp_path)
        assert arm_rows(arm, control.end_of_text) == [[10]]
        assert (arm.counts.too_long, arm.counts.longest) == (1, 9)
        sources = sources_of(corpus, tmp_path, annotations=laid_in)
        with pytest.raises(InputError, match=r"1 of 2 documents .* 8 tokens .* has 9"):
            packed(sources, tmp_path, refuse_long=True)


def test_conversations_that_lack_their_annotation_are_counted_in_both_arms(
    patchy_chat: Corpus, tmp_path: Path
) -> None:
    for laid_in in (True, False):
        arm = packed(sources_of(patchy_chat, tmp_path, annotations=laid_in), tmp_path, 256)
        counts = arm.counts
        assert (counts.documents, counts.unannotated, counts.untrained) == (62, 2, 0)


def test_a_materialised_folder_gives_the_same_rows(chat: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "stock"
    MaterialiseConfig(
        tokens=chat.tokens, overlay=chat.overlay, out=out, policy=MaskPolicy.unmasked
    ).run()
    laid_in = packed(sources_of(chat, tmp_path), tmp_path, 256)
    (stored,) = InterleavedDocumentSourceConfig(str(out)).build(tmp_path)
    materialised = packed([stored], tmp_path, 256)
    for key in ("input_ids", "label_mask"):
        assert rows(materialised, key) == rows(laid_in, key)
    # The standard arm that belongs to it names the overlay too.
    standard = packed(sources_of(chat, tmp_path, annotations=False), tmp_path, 256)
    assert [len(row) for row in arm_rows(standard, chat.tokenizer.control.end_of_text)] == [
        len(row) for row in arm_rows(materialised, chat.tokenizer.control.end_of_text)
    ]


# --- reading whole documents ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prose", "chat", "patchy_chat"])
@pytest.mark.parametrize("laid_in", [True, False])
def test_documents_together_are_what_each_is_alone(
    kind: str, laid_in: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = sources_of(request.getfixturevalue(kind), tmp_path, annotations=laid_in)[0]
    check_documents(source)


def test_documents_without_an_overlay(prose: Corpus, chat: Corpus, tmp_path: Path) -> None:
    for corpus in (prose, chat):
        for train_turns in ("final", "all"):
            config = InterleavedDocumentSourceConfig(
                str(corpus.tokens), annotations=False, train_turns=train_turns
            )
            check_documents(config.build(tmp_path)[0])  # type: ignore[arg-type]


def check_documents(source: InterleavedDocumentSource) -> None:
    offsets = list(source.get_document_offsets())

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.sampled_from(offsets), min_size=1, max_size=12))
    def check(taken: list[tuple[int, int]]) -> None:
        begins, ends = np.array(taken).T
        together = source.get_documents(begins, ends)
        for key in ("input_ids", "label_mask"):
            alone = [source.get_token_range(*one)[key] for one in taken]  # type: ignore[literal-required]
            assert torch.equal(together[key], torch.cat(alone))  # type: ignore[literal-required,arg-type]

    check()


def test_a_file_that_shrinks_during_the_run_is_an_error(prose: Corpus, tmp_path: Path) -> None:
    tokens = shutil.copytree(prose.tokens, tmp_path / "tokens")
    config = InterleavedDocumentSourceConfig(str(tokens), str(prose.overlay))
    source = packed(config.build(tmp_path), tmp_path, 256)
    with (tokens / "token_ids_part_0000.npy").open("r+b") as file:
        file.truncate(10)
    with pytest.raises(WorkFailed, match="changed during the run"):
        source[0]


# --- the index -----------------------------------------------------------------------------------


def test_the_index_is_written_once_and_survives_pickling(prose: Corpus, tmp_path: Path) -> None:
    sources = sources_of(prose, tmp_path)
    source = packed(sources, tmp_path, 256)
    files = {path: path.stat().st_mtime_ns for path in source.work_dir.iterdir()}
    assert len(files) == 3
    before = rows(source)
    assert rows(packed(sources, tmp_path, 256)) == before
    assert {path: path.stat().st_mtime_ns for path in source.work_dir.iterdir()} == files
    pickled = pickle.dumps(source)
    assert len(pickled) < 20_000
    assert rows(pickle.loads(pickled)) == before


def test_an_index_that_is_not_whole_is_made_again(prose: Corpus, tmp_path: Path) -> None:
    sources = sources_of(prose, tmp_path)
    source = packed(sources, tmp_path, 256)
    before = rows(source)
    # The counts are written last: this is what a killed process leaves.
    for path in source.work_dir.iterdir():
        path.unlink() if path.suffix == ".json" else path.write_bytes(b"torn")
    assert rows(packed(sources, tmp_path, 256)) == before


def test_the_fingerprint_covers_what_the_rows_depend_on(
    tiny: AnchorTokenizer, prose: Corpus, tmp_path: Path
) -> None:
    sources = sources_of(prose, tmp_path, annotations=False)
    one = packed(sources, tmp_path, 256)
    others = [
        packed(sources, tmp_path, 512),
        packed(sources, tmp_path, 256, refuse_long=True),
        packed(sources[:1], tmp_path, 256),
        packed(sources_of(prose, tmp_path), tmp_path, 256),
    ]
    # Another overlay gives the same tokens in the standard arm, and other rows.
    laid = [dict(list(of_part.items())[40:]) for of_part in prose.annotations]
    overlay = write_overlay(tmp_path / "o", prose.tokens, prose.documents, laid, tiny)
    other = Corpus(prose.tokens, overlay, prose.documents, laid, tiny)
    same_tokens = sources_of(other, tmp_path, annotations=False)
    assert [source.fingerprint for source in same_tokens] == [
        source.fingerprint for source in sources
    ]
    others.append(packed(same_tokens, tmp_path, 256))
    assert rows(others[-1]) != rows(one)
    assert len({source.fingerprint for source in [one, *others]}) == 6
    again = packed(sources_of(prose, tmp_path, annotations=False), tmp_path / "w", 256)
    assert again.fingerprint == one.fingerprint


def test_instances_name_their_documents(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    end = tiny.control.end_of_text
    # In the second part documents are counted on.
    parts = [[[10, 5, 5, 5, end], [11, 5, end]], [[12, 5, end], [13, 5, 5, end]]]
    tokens = write_tokens(tmp_path / "t", parts, tiny)
    sources = InterleavedDocumentSourceConfig(str(tokens), annotations=False).build(tmp_path)
    source = packed(sources, tmp_path)
    assert source.locate([1], " --policy full") == (
        f"documents 3, 2 (see `olmo-anchor inspect {tokens} --policy full --doc 3 --doc 2`)"
    )
    assert source.locate([0, 1]).startswith("documents 0, 1, 3, 2 (see")
    assert re.search(r"\) and 2 more$", source.locate([0, 1, 0, 1, 0]))


# --- through OLMo-core's loader ------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_hold_whole_conversations_with_their_lengths_and_masks(
    chat: Corpus, tmp_path: Path, num_workers: int
) -> None:
    control, end = chat.tokenizer.control, chat.tokenizer.control.end_of_text
    tokenizer = TokenizerConfig(
        vocab_size=chat.tokenizer.vocab_size,
        eos_token_id=end,
        pad_token_id=chat.tokenizer.pad_id,
    )
    source = InterleavedDocumentSourceConfig(str(chat.tokens), str(chat.overlay))
    dataset = PackedInstanceSourceConfig([source], 160, tokenizer, refuse_long=True).build(tmp_path)
    config = AnchorCollatorConfig(MaskPolicy.anchored, value_only_fraction=0.3)
    config.set_control(control)
    collate = config.build(pad_token_id=tokenizer.pad_token_id, vocab_size=512)
    collate.locate = dataset.locate
    loader = ComposableDataLoaderConfig(
        tokenizer=tokenizer,
        global_batch_size=160,
        seed=0,
        work_dir=str(tmp_path),
        num_threads=0,
        num_workers=num_workers,
        generate_doc_lengths=True,
        display_source_visualization=False,
    ).build(dataset, collator=collate)
    loader.reshuffle(1)
    (corpus,) = sources_of(chat, tmp_path)
    expected = []
    for begin, stop in corpus.get_document_offsets():
        alone = corpus.get_token_range(begin, stop)
        ids, mask = np.asarray(alone["input_ids"]), np.asarray(alone["label_mask"])
        mask = policy_mask(ids, mask, MaskPolicy.anchored, control, value_only_fraction=0.3)
        expected.append((ids.tolist(), mask.tolist()))
    found = []
    for batch in loader:
        ids, mask = batch["input_ids"][0], batch["label_mask"][0]
        lengths = [int(length) for length in batch["doc_lens"][0] if length]
        assert sum(lengths) == 160
        assert batch["max_doc_lens"] == [max(lengths)]
        pieces = zip(ids.split(lengths), mask.split(lengths), strict=True)
        for piece, piece_mask in pieces:
            if int(piece[0]) == tokenizer.pad_token_id:
                assert not piece_mask.any()
                continue
            found.append((piece.tolist(), piece_mask.tolist()))
    assert sorted(found) == sorted(expected)
    assert len(found) == 64
    assert len(dataset) < 32
