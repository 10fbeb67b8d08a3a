"""One document per instance: padding, truncation, the token budget, grouping by length."""

from __future__ import annotations

import pickle
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import InMemoryDocumentSource

from olmo_anchor.errors import InputError
from olmo_anchor.training.instances import PaddedInstanceSource, PaddedInstanceSourceConfig
from olmo_anchor.training.source import InterleavedDocumentSourceConfig
from tests.training.conftest import Corpus

PAD, END = 1, 0
TOKENIZER = TokenizerConfig(vocab_size=100, eos_token_id=END, pad_token_id=PAD)


def padded(
    documents: list[list[int]], work: Path, length: int = 4, **options: object
) -> PaddedInstanceSource:
    """Tokens of 50 and above are trained, and the end of a document that has one."""
    ids = np.array([*chain(*documents)])
    ends = [END in ids and max(ids) >= 50 for ids in documents for _ in ids]
    mask = (ids >= 50) | (ids == END) & np.array(ends)
    source = InMemoryDocumentSource(ids, tokenizer=TOKENIZER, work_dir=work, label_mask=mask)
    config = PaddedInstanceSourceConfig([], length, TOKENIZER, **options)  # type: ignore[arg-type]
    return PaddedInstanceSource(source, config=config, work_dir=work)


def rows(source: PaddedInstanceSource) -> list[list[int]]:
    return [list(map(int, source[k]["input_ids"])) for k in range(len(source))]


def test_padding_is_never_a_target_and_long_documents_are_cut(tmp_path: Path) -> None:
    source = padded([[10, 60, END], [10, 11, 61, 62, 63, END]], tmp_path)
    assert rows(source) == [[10, 60, END, PAD], [10, 11, 61, 62]]
    assert [list(map(int, source[k]["label_mask"])) for k in range(2)] == [
        [0, 1, 1, 0],
        [0, 0, 1, 1],
    ]
    assert (source.counts.truncated, source.counts.longest) == (1, 6)
    assert source[0]["input_ids"].dtype == torch.int64  # type: ignore[attr-defined]


def test_long_documents_can_be_refused(tmp_path: Path) -> None:
    documents = [[10, 60, END], [10, 11, 61, 62, 63, END]]
    with pytest.raises(InputError, match=r"1 of 2 documents are longer .* 4 tokens .* has 6"):
        padded(documents, tmp_path, refuse_long=True)
    assert len(padded(documents, tmp_path, length=6, refuse_long=True)) == 2


def test_a_document_that_truncation_leaves_without_a_target_is_skipped(tmp_path: Path) -> None:
    # The second keeps a True only at its first token, which is never a target.
    documents = [[10, 11, 12, 13, 60, END], [60, 11, 12, 13, 60, END], [10, 60, END]]
    source = padded(documents, tmp_path)
    assert rows(source) == [[10, 60, END, PAD]]
    assert (source.counts.untrained, source.counts.documents) == (2, 1)


def test_a_short_document_without_a_target_is_skipped(tmp_path: Path) -> None:
    documents = [[10, 11, END], [10, 60, END], [END], [62, END]]
    source = padded(documents, tmp_path)
    assert rows(source) == [[10, 60, END, PAD], [62, END, PAD, PAD]]
    assert (source.counts.untrained, source.counts.documents) == (2, 2)


def test_where_every_token_is_trained_only_single_tokens_are_skipped(tmp_path: Path) -> None:
    ids = np.array([END, 10, END, END, 11, 12, END])
    source = InMemoryDocumentSource(ids, tokenizer=TOKENIZER, work_dir=tmp_path)
    config = PaddedInstanceSourceConfig([], 4, TOKENIZER)
    instances = PaddedInstanceSource(source, config=config, work_dir=tmp_path)
    assert rows(instances) == [[10, END, PAD, PAD], [11, 12, END, PAD]]
    assert instances.counts.untrained == 2


def test_a_corpus_without_masks_is_not_read_for_its_index(prose: Corpus, tmp_path: Path) -> None:
    tokens = shutil.copytree(prose.tokens, tmp_path / "tokens")
    sources = InterleavedDocumentSourceConfig(str(tokens), str(prose.overlay)).build(tmp_path)
    for file in tokens.glob("*.npy"):
        file.write_bytes(b"")
    config = PaddedInstanceSourceConfig([], 128, TOKENIZER)
    assert len(PaddedInstanceSource(*sources, config=config, work_dir=tmp_path)) == 200


def test_an_index_of_another_run_does_not_hide_a_long_document(tmp_path: Path) -> None:
    documents = [[10, 60, END], [10, 11, 61, 62, 63, END]]
    padded(documents, tmp_path)
    with pytest.raises(InputError, match="longer than an instance"):
        padded(documents, tmp_path, refuse_long=True)


def test_the_budget_counts_whole_documents_without_padding(tmp_path: Path) -> None:
    documents = [[10, 60, END], [11, 61, END], [12, 62, END]]
    assert len(padded(documents, tmp_path, max_tokens=8)) == 2
    assert len(padded(documents, tmp_path, max_tokens=9)) == 3
    with pytest.raises(InputError, match="holds 9 tokens, max_tokens asks for 10"):
        padded(documents, tmp_path, max_tokens=10)


def test_grouped_rows_have_similar_lengths_and_lose_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    documents = [[10 + k % 80] * int(n) + [60, END] for k, n in enumerate(rng.integers(1, 60, 95))]
    source = padded(documents, tmp_path, 64, group_rows=10)
    again = padded(documents, tmp_path / "other", 64, group_rows=10)
    plain = padded(documents, tmp_path, 64)
    assert rows(source) == rows(again)
    assert sorted(rows(source)) == sorted(rows(plain)) != rows(source)
    lengths = [sum(token != PAD for token in row) for row in rows(source)]
    spans = [max(lengths[k : k + 10]) - min(lengths[k : k + 10]) for k in range(0, 90, 10)]
    assert max(spans) < 15
    assert lengths != sorted(lengths)
    seeds = {padded(documents, tmp_path, 64, group_rows=10, seed=s).fingerprint for s in (0, 1)}
    assert len(seeds) == 2


def test_documents_of_several_parts_and_the_index_survives_pickling(
    prose: Corpus, tmp_path: Path
) -> None:
    sources = InterleavedDocumentSourceConfig(str(prose.tokens), str(prose.overlay))
    config = PaddedInstanceSourceConfig([sources], 128, TOKENIZER)
    source = config.build(tmp_path)
    assert len(source) == 200
    expected: list[int] = []
    position = sum(len(d) for d in prose.documents[1][:7])
    for token in prose.documents[1][7]:
        expected += [*prose.annotations[1].get(position, []), token]
        position += 1
    copy = pickle.loads(pickle.dumps(source))
    for at in (source, copy):
        assert rows(at)[107][: len(expected) + 1] == [*expected, PAD]
    assert config.build(tmp_path).fingerprint == source.fingerprint


def test_arms_have_the_same_conversations_where_annotations_are_missing(
    patchy_chat: Corpus, tmp_path: Path
) -> None:
    folders = (str(patchy_chat.tokens), str(patchy_chat.overlay))
    numbers = [number for number in range(64) if number not in (1, 4)]
    for laid_in in (True, False):
        source = InterleavedDocumentSourceConfig(*folders, laid_in)
        arm = PaddedInstanceSourceConfig([source], 128, TOKENIZER).build(tmp_path)
        # The first tokens tell which conversation it is.
        users = [patchy_chat.tokenizer.encode(f"user {number}?") for number in numbers]
        assert [row[: len(u)] for row, u in zip(rows(arm), users, strict=True)] == users
        counts = arm.counts
        assert (counts.documents, counts.unannotated, counts.untrained) == (62, 2, 0)
