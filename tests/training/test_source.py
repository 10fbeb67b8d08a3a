"""The document source: literal ids and masks, any range, and what it refuses."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from olmo_core.data.composable import ConcatenatedDocumentSource

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.source import (
    InterleavedDocumentSource,
    InterleavedDocumentSourceConfig,
)
from tests.training.conftest import Corpus
from tests.training.folders import write_overlay, write_tokens


def build(corpus: Corpus, work: Path, **options: object) -> list[InterleavedDocumentSource]:
    config = InterleavedDocumentSourceConfig(
        str(corpus.tokens),
        str(corpus.overlay),
        **options,  # type: ignore[arg-type]
    )
    return config.build(work)  # type: ignore[return-value]


def by_hand(
    tiny: AnchorTokenizer, folder: Path, without: int | None = None, **options: object
) -> InterleavedDocumentSource:
    """Two conversations; the first has two trained runs, and an annotation on the last.

    :param without: the position of an annotation that is left out.
    """
    end, open_, close = tiny.control.end_of_text, tiny.control.open, tiny.control.close
    documents = [[10, 11, 12, 13, 14, end], [20, 21, end]]
    masks = [[False, True, False, True, True, True], [False, True, True]]
    laid = {3: [open_, 30, close], 6: [open_, 31, close], 7: [open_, close]}
    laid = {start: ids for start, ids in laid.items() if start != without}
    tokens = write_tokens(folder / "t", [documents], tiny, [masks], "all")
    overlay = write_overlay(folder / "o", tokens, [documents], [laid], tiny, masks=[masks])
    config = InterleavedDocumentSourceConfig(str(tokens), str(overlay), **options)  # type: ignore[arg-type]
    return config.build(folder)[0]  # type: ignore[return-value]


def read(source: InterleavedDocumentSource, begin: int, end: int) -> tuple[list[int], list[int]]:
    got = source.get_token_range(begin, end)
    mask = np.asarray(got["label_mask"]).astype(int)
    return np.asarray(got["input_ids"]).tolist(), mask.tolist()


def test_interleaved_by_hand(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    source = by_hand(tiny, tmp_path)
    e, o, c = tiny.control.end_of_text, tiny.control.open, tiny.control.close
    ids, mask = read(source, 0, source.num_tokens)
    assert ids == [10, 11, 12, o, 30, c, 13, 14, e, o, 31, c, 20, o, c, 21, e]
    # The first run of True is not the last of its conversation: dropped. The annotation inherits.
    assert mask == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]
    # What stands at a document's first token belongs to that document.
    assert list(source.get_document_offsets()) == [(0, 9), (9, 17)]


def test_the_corpus_alone_from_the_same_files(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    source = by_hand(tiny, tmp_path, annotations=False)
    end = tiny.control.end_of_text
    ids, mask = read(source, 0, source.num_tokens)
    assert ids == [10, 11, 12, 13, 14, end, 20, 21, end]
    assert mask == [0, 0, 0, 1, 1, 1, 0, 1, 1]
    assert list(source.get_document_offsets()) == [(0, 6), (6, 9)]


@pytest.mark.parametrize(
    ("without", "mask"),
    [(3, [0, 0, 0, 0, 0, 0, 0, 1, 1]), (7, [0, 0, 0, 1, 1, 1, 0, 0, 0])],
)
def test_no_arm_trains_a_response_without_its_annotation(
    without: int, mask: list[int], tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    anchored = by_hand(tiny, tmp_path / "a", without)
    standard = by_hand(tiny, tmp_path / "s", without, annotations=False)
    ids, trained = read(anchored, 0, anchored.num_tokens)
    open_, close = tiny.control.open, tiny.control.close
    inside = np.cumsum(np.isin(ids, open_)) - np.cumsum(np.isin(ids, close)) > 0
    text = ~(inside | np.isin(ids, close))
    assert np.array(trained)[text].tolist() == mask == read(standard, 0, 9)[1]
    assert (anchored.unannotated, standard.unannotated) == (1, 1)
    # Any range, also one from the middle of a conversation.
    check_ranges(anchored, ids, trained)
    check_ranges(standard, *read(standard, 0, 9))
    # What is left out is part of what the data is, in both arms.
    whole = by_hand(tiny, tmp_path / "w", annotations=False)
    assert whole.unannotated == 0
    assert standard.fingerprint != whole.fingerprint


def test_a_response_without_its_annotation_is_trained_on_request(
    tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    anchored = by_hand(tiny, tmp_path / "a", 7, unannotated="train")
    standard = by_hand(tiny, tmp_path / "s", 7, annotations=False, unannotated="train")
    e, o, c = tiny.control.end_of_text, tiny.control.open, tiny.control.close
    ids, mask = read(anchored, 0, anchored.num_tokens)
    assert ids == [10, 11, 12, o, 30, c, 13, 14, e, o, 31, c, 20, 21, e]
    assert mask == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1]
    assert read(standard, 0, 9)[1] == [0, 0, 0, 1, 1, 1, 0, 1, 1]
    check_ranges(anchored, ids, mask)
    check_ranges(standard, *read(standard, 0, 9))
    assert (anchored.unannotated, standard.unannotated) == (0, 0)
    left_out = by_hand(tiny, tmp_path / "l", 7)
    assert anchored.fingerprint != left_out.fingerprint
    # Where no annotation decides anything, the standard arm does not look at them.
    whole = by_hand(tiny, tmp_path / "w", annotations=False, unannotated="train")
    assert standard.fingerprint == whole.fingerprint


def test_the_rest_of_the_turns_needs_no_annotation(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    source = by_hand(tiny, tmp_path, 7, annotations=False, train_turns="all")
    assert read(source, 0, 9)[1] == [0, 1, 0, 1, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("annotations", [True, False])
def test_many_conversations_without_an_annotation_are_refused_in_every_arm(
    annotations: bool, chat: Corpus, tmp_path: Path
) -> None:
    laid = dict(list(chat.annotations[0].items())[11:])
    masks = [np.fromfile(chat.tokens / "labels_mask_part_0000.npy", bool).tolist()]
    folder = tmp_path / "overlay"
    write_overlay(folder, chat.tokens, chat.documents, [laid], chat.tokenizer, masks=[masks])
    config = InterleavedDocumentSourceConfig(str(chat.tokens), str(folder), annotations)
    with pytest.raises(InputError, match="overlay: 11 of 64 conversations have no"):
        config.open()
    config.max_unannotated = 0.2
    assert config.build(tmp_path)[0].unannotated == 11  # type: ignore[attr-defined]
    config.max_unannotated, config.unannotated = None, "train"
    assert config.build(tmp_path)[0].unannotated == 0  # type: ignore[attr-defined]
    config.unannotated = "keep"
    with pytest.raises(InputError, match="unannotated is 'keep'; it is 'leave_out' or 'train'"):
        config.open()


def test_all_turns_train_without_annotations(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    source = by_hand(tiny, tmp_path, annotations=False, train_turns="all")
    assert read(source, 0, 9)[1] == [0, 1, 0, 1, 1, 1, 0, 1, 1]


def test_a_range_from_the_middle_of_a_document_knows_its_last_run(
    tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    source = by_hand(tiny, tmp_path)
    assert read(source, 1, 5)[1] == [0, 0, 1, 1]
    assert read(source, 4, 5)[1] == [1]


def check_ranges(source: InterleavedDocumentSource, ids: list[int], mask: list[int]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        begin = data.draw(st.integers(0, len(ids) - 1))
        end = data.draw(st.integers(begin + 1, len(ids)))
        assert read(source, begin, end) == (ids[begin:end], mask[begin:end])

    check()


@pytest.mark.parametrize("kind", ["prose", "chat"])
@pytest.mark.parametrize("annotations", [True, False])
def test_any_range_is_the_slice_of_the_whole(
    kind: str, annotations: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    corpus: Corpus = request.getfixturevalue(kind)
    for number, source in enumerate(build(corpus, tmp_path, annotations=annotations)):
        expected: list[int] = []
        position = 0
        for document in corpus.documents[number]:
            for token in document:
                if annotations:
                    expected += corpus.annotations[number].get(position, [])
                expected.append(token)
                position += 1
        ids, mask = read(source, 0, source.num_tokens)
        assert ids == expected
        ends = np.flatnonzero(np.array(ids) == corpus.tokenizer.control.end_of_text) + 1
        assert [end for _, end in source.get_document_offsets()] == ends.tolist()

        check_ranges(source, ids, mask)


def test_pickled_sources_open_their_own_files(prose: Corpus, tmp_path: Path) -> None:
    source = build(prose, tmp_path)[0]
    before = read(source, 5, 90)
    pickled = pickle.dumps(source)
    assert len(pickled) < 8000
    assert read(pickle.loads(pickled), 5, 90) == before


def test_without_an_overlay_documents_are_found_by_their_end(prose: Corpus, tmp_path: Path) -> None:
    config = InterleavedDocumentSourceConfig(str(prose.tokens), annotations=False)
    alone = build(prose, tmp_path, annotations=False)
    for source, same in zip(config.build(tmp_path), alone, strict=True):
        assert list(source.get_document_offsets()) == list(same.get_document_offsets())
        assert source.fingerprint == same.fingerprint


def test_the_fingerprint_covers_contents_and_flags(
    tiny: AnchorTokenizer, prose: Corpus, tmp_path: Path
) -> None:
    one, other = build(prose, tmp_path)
    assert one.fingerprint != other.fingerprint
    alone = build(prose, tmp_path, annotations=False)[0]
    assert one.fingerprint != alone.fingerprint
    # The same contents elsewhere are the same data.
    copied = Corpus(
        shutil.copytree(prose.tokens, tmp_path / "t"),
        shutil.copytree(prose.overlay, tmp_path / "o"),
        prose.documents,
        prose.annotations,
        tiny,
    )
    assert build(copied, tmp_path)[0].fingerprint == one.fingerprint
    # ConcatenatedTokenSource fingerprints by repr.
    concatenated = [ConcatenatedDocumentSource(s, work_dir=tmp_path) for s in (one, alone)]
    assert concatenated[0].fingerprint != concatenated[1].fingerprint
    final = by_hand(tiny, tmp_path / "a", annotations=False)
    every = by_hand(tiny, tmp_path / "b", annotations=False, train_turns="all")
    assert final.fingerprint != every.fingerprint


def test_urls_are_refused_with_the_way_out(prose: Corpus, tmp_path: Path) -> None:
    config = InterleavedDocumentSourceConfig("s3://bucket/tokens", str(prose.overlay))
    with pytest.raises(InputError, match="olmo-anchor materialise"):
        config.build(tmp_path)


def test_all_turns_are_refused_where_some_have_no_annotation(chat: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train_turns=final"):
        build(chat, tmp_path, train_turns="all")


def test_annotations_without_an_overlay_are_refused(prose: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="olmo-anchor overlay"):
        InterleavedDocumentSourceConfig(str(prose.tokens)).build(tmp_path)


def test_an_overlay_of_another_corpus_is_refused(
    prose: Corpus, chat: Corpus, tmp_path: Path
) -> None:
    config = InterleavedDocumentSourceConfig(str(prose.tokens), str(chat.overlay))
    with pytest.raises(InputError, match="olmo-anchor overlay"):
        config.build(tmp_path)


def test_verify_finds_a_changed_byte_that_the_sizes_hide(prose: Corpus, tmp_path: Path) -> None:
    overlay = shutil.copytree(prose.overlay, tmp_path / "overlay")
    ids = overlay / "part-0000.ids.npy"
    ids.write_bytes(ids.read_bytes()[:-1] + b"\1")
    config = InterleavedDocumentSourceConfig(str(prose.tokens), str(overlay))
    config.build(tmp_path)
    config.verify = True
    with pytest.raises(InputError, match=r"part-0000\.ids\.npy: changed"):
        config.build(tmp_path)


def test_a_file_that_shrinks_during_the_run_is_an_error(prose: Corpus, tmp_path: Path) -> None:
    tokens = shutil.copytree(prose.tokens, tmp_path / "tokens")
    config = InterleavedDocumentSourceConfig(str(tokens), str(prose.overlay))
    source = config.build(tmp_path)[0]
    with (tokens / "token_ids_part_0000.npy").open("r+b") as file:
        file.truncate(10)
    with pytest.raises(WorkFailed, match="changed during the run"):
        source.get_token_range(50, 90)
