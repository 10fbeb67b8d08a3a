"""Overlays by hand: literal arrays, conversations, and documents taken apart again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from olmo_anchor.annotation import Annotation
from olmo_anchor.corpus.overlay_files import OverlayDir, interleave
from olmo_anchor.corpus.token_files import sampled_sha256
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import WorkFailed
from olmo_anchor.spans import DELIMITER, TEXT, roles
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.corpus.conftest import GOOD, rejected, run_overlay


def flat(documents: list[list[int]]) -> list[int]:
    return [token for document in documents for token in document]


def tags(*pairs: tuple[str, str]) -> list[list[str]]:
    return [list(pair) for pair in pairs]


def test_literal_overlay(
    write_tokens: Any, write_annotations: Any, tiny: AnchorTokenizer, docs: Any, tmp_path: Path
) -> None:
    tokens = write_tokens([docs])
    annotations = write_annotations(
        [
            {"part": 0, "doc": 0, "chunk": 1, "id": "doc-0-0", "tags": tags(("topic", "mat"))},
            {"part": 0, "doc": 1, "chunk": 0, "tags": tags(("topic", "dog"), ("style", "a:b"))},
        ]
    )
    manifest = run_overlay(tokens, annotations, tmp_path / "overlay")

    one = tiny.encode_annotation(Annotation.of(("topic", "mat")))
    two = tiny.encode_annotation(Annotation.of(("topic", "dog"), ("style", "a:b")))
    second_chunk = len(tiny.encode("The cat.\n\n"))
    a, b, c = map(len, docs)

    def column(name: str, dtype: str) -> list[int]:
        return np.fromfile(tmp_path / f"overlay/part-0000.{name}.npy", dtype).tolist()

    assert column("ids", "<u4") == one + two
    assert column("starts", "<i8") == [second_chunk, a, a + b + c]
    both = len(one) + len(two)
    assert column("positions", "<i8") == [second_chunk, a + len(one), a + b + c + both]
    assert column("docs", "<i8") == [0, a, a + b, a + b + c]
    assert manifest.counts["annotations"] == 2
    assert manifest.counts["chunks"] == 6
    assert manifest.counts["longest_annotation"] == len(two)
    assert manifest.counts["unannotated"] == 0  # a count of conversations
    assert manifest.counts["rejected"] == 0
    assert manifest.extra["every_run_annotated"] is False
    token_file = manifest.extra["parts"][0]["token_file"]
    assert token_file["sampled_sha256"] == sampled_sha256(tokens / "token_ids_part_0000.npy")

    source = TokensDir.open(tokens)
    block = next(source.parts[0].blocks())
    woven = interleave(block, OverlayDir.open(tmp_path / "overlay", source, verify=True).part(0))
    first = docs[0][:second_chunk] + one + docs[0][second_chunk:]
    assert woven.document(0)[0].tolist() == first
    assert woven.document(1)[0].tolist() == two + docs[1]
    assert woven.document(2)[0].tolist() == docs[2]
    assert interleave(block, None).ids.tolist() == flat(docs)


def test_the_annotations_own_schema_holds_unless_one_is_given(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    tokens = write_tokens([docs])
    record = {**GOOD, "tags": [["persona", "a sailor"]]}
    annotations = write_annotations([record], schema={"keys": ["persona"], "name": "world"})
    manifest = run_overlay(tokens, annotations, tmp_path / "one")
    assert manifest.extra["schema"]["name"] == "world"
    schema = tmp_path / "paper.yaml"
    schema.write_text("keys: [topic]\nmax_tags: 2\n")
    with pytest.raises(WorkFailed, match="'persona' is not in the schema 'paper'"):
        run_overlay(tokens, annotations, tmp_path / "two", schema=schema)


class TestConversations:
    """Chunks are runs of trained tokens."""

    @pytest.fixture
    def chat(self, tiny: AnchorTokenizer) -> tuple[list[list[int]], list[list[int]]]:
        end = tiny.control.end_of_text
        ids = [[20, 21, 22, 23, 24, 25, end], [30, 31, end]]
        masks = [[0, 0, 1, 1, 0, 1, 1], [0, 1, 1]]
        return ids, masks

    def records(self, *places: tuple[int, int]) -> list[dict[str, Any]]:
        return [{**GOOD, "doc": doc, "chunk": chunk} for doc, chunk in places]

    def test_final_stands_before_the_last_run(
        self, write_tokens: Any, write_annotations: Any, chat: Any, tmp_path: Path
    ) -> None:
        ids, masks = chat
        tokens, annotations = (
            write_tokens([ids], [masks]),
            write_annotations(self.records((0, 0), (1, 0))),
        )
        manifest = run_overlay(tokens, annotations, tmp_path / "overlay")
        starts = np.fromfile(tmp_path / "overlay/part-0000.starts.npy", "<i8")
        assert starts.tolist() == [5, 8, 10]
        assert manifest.counts["unannotated"] == 0
        # The masks of the first conversation train an earlier run too, which has none.
        assert manifest.extra["every_run_annotated"] is False
        assert manifest.counts["runs_left_out"] == 1
        assert manifest.extra["train_turns"] == "final"

    def test_an_earlier_run_is_rejected_under_final(
        self, write_tokens: Any, write_annotations: Any, chat: Any, tmp_path: Path
    ) -> None:
        ids, masks = chat
        annotations = write_annotations(self.records((0, 0), (0, 1)))
        out = tmp_path / "overlay"
        run_overlay(write_tokens([ids], [masks]), annotations, out, max_rejected=1)
        assert "only the last trained run" in rejected(out)[0]["reason"]

    def test_all_numbers_every_run(
        self, write_tokens: Any, write_annotations: Any, chat: Any, tmp_path: Path
    ) -> None:
        ids, masks = chat
        annotations = write_annotations(self.records((0, 0), (0, 1)))
        tokens = write_tokens([ids], [masks], train_turns="all")
        manifest = run_overlay(tokens, annotations, tmp_path / "overlay")
        starts = np.fromfile(tmp_path / "overlay/part-0000.starts.npy", "<i8")
        assert starts.tolist() == [2, 5, 10]
        # Of the second conversation.
        assert manifest.counts["unannotated"] == 1
        assert manifest.extra["every_run_annotated"] is False

    def test_an_annotation_inherits_the_label_of_the_token_after_it(
        self, write_tokens: Any, write_annotations: Any, chat: Any, tmp_path: Path
    ) -> None:
        ids, masks = chat
        tokens = write_tokens([ids], [masks])
        run_overlay(tokens, write_annotations(self.records((0, 0))), tmp_path / "overlay")
        source = TokensDir.open(tokens)
        overlay = OverlayDir.open(tmp_path / "overlay", source).part(0)
        woven = interleave(next(source.parts[0].blocks()), overlay)
        document, mask = woven.document(0)
        assert mask is not None
        assert mask.astype(int).tolist() == [0, 0, 1, 1, 0] + [1] * (len(document) - 5)


def test_an_empty_document_is_counted_and_has_no_chunk(
    write_tokens: Any, write_annotations: Any, docs: Any, tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    tokens = write_tokens([[docs[0], [tiny.control.end_of_text], docs[1]]])
    records = [GOOD, {**GOOD, "doc": 1}]
    out = tmp_path / "overlay"
    manifest = run_overlay(tokens, write_annotations(records), out, max_rejected=1)
    assert manifest.counts["empty_documents"] == 1
    assert manifest.counts["documents"] == 3
    assert rejected(out)[0]["reason"] == "there is no such chunk"


words = st.sampled_from(["The", " cat", " dog", "\n\n", " ran", ": topic", "\n", "é", " "])
values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_interleaved_documents_split_back_into_text_and_annotations(
    data: st.DataObject,
    write_tokens: Any,
    write_annotations: Any,
    tiny: AnchorTokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    texts = data.draw(st.lists(st.lists(words, max_size=8).map("".join), min_size=1, max_size=5))
    documents = [[*tiny.encode(text), tiny.control.end_of_text] for text in texts]
    tokens = write_tokens([documents], folder=folder / "tokens")
    records, expected = [], []
    for doc in range(len(documents)):
        for chunk in range(3):
            value = data.draw(st.none() | values.map(str.strip).filter(bool))
            if value is not None and value.splitlines() == [value] and len(value) <= 80:
                pairs = [("topic", value)] * data.draw(st.integers(1, 3))
                records.append({**GOOD, "doc": doc, "chunk": chunk, "tags": tags(*pairs)})
                expected.append(((0, doc, chunk), Annotation.of(*pairs)))
    if not records:
        return
    annotations = write_annotations(records, folder=folder / "annotations")
    run_overlay(tokens, annotations, folder / "overlay", max_rejected=1)
    bad = set()
    if (folder / "overlay/rejected.jsonl").exists():
        bad = {(r["part"], r["doc"], r["chunk"]) for r in rejected(folder / "overlay")}
    wanted = [annotation for place, annotation in expected if place not in bad]

    source = TokensDir.open(tokens)
    overlay = OverlayDir.open(folder / "overlay", source).part(0)
    woven = interleave(next(source.parts[0].blocks()), overlay)
    role_ids = roles(woven.ids, tiny.control, inside=False)
    assert woven.ids[role_ids == TEXT].tolist() == flat(documents)
    assert overlay.annotations == len(wanted)
    assert overlay.interleaved_tokens == len(woven.ids)
    found = np.split(overlay.ids, (overlay.positions - overlay.starts)[1:-1]) if wanted else []
    assert [tiny.decode_annotation(ids)[0] for ids in found] == wanted
    assert (role_ids[overlay.positions[:-1]] == DELIMITER).all()
