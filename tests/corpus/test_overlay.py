"""Overlays by hand: literal arrays, every reason to reject a record or refuse a file, resuming."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from olmo_anchor.annotation import Annotation
from olmo_anchor.corpus.overlay import OverlayConfig
from olmo_anchor.corpus.overlay_files import OverlayDir, interleave
from olmo_anchor.corpus.token_files import sampled_sha256
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import Manifest
from olmo_anchor.spans import DELIMITER, TEXT, roles
from olmo_anchor.tokenizer import AnchorTokenizer

END = "<|endoftext|>"


@pytest.fixture
def docs(tiny: AnchorTokenizer) -> list[list[int]]:
    """Three documents of two, one and three chunks."""
    end = tiny.control.end_of_text
    texts = ["The cat.\n\nThe mat.", "The dog.", "The\n\ncat\n\nran"]
    return [[*tiny.encode(text), end] for text in texts]


def flat(documents: list[list[int]]) -> list[int]:
    return [token for document in documents for token in document]


def tags(*pairs: tuple[str, str]) -> list[list[str]]:
    return [list(pair) for pair in pairs]


def rejected(out: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (out / "rejected.jsonl").read_bytes().splitlines()]


def run(tokens: Path, annotations: Path, out: Path, **options: Any) -> Manifest:
    return OverlayConfig(tokens=tokens, annotations=annotations, out=out, **options).run()


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
    manifest = run(tokens, annotations, tmp_path / "overlay")

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


GOOD = {"part": 0, "doc": 0, "chunk": 0, "tags": [["topic", "cat"]]}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**GOOD, "chunk": 2}, "there is no such chunk"),
        ({**GOOD, "doc": 3}, "there is no such document"),
        ({**GOOD, "part": 1}, "there is no such part"),
        (GOOD, "a second record for its chunk"),
        ({**GOOD, "chunk": 1, "tags": [["topic", "a\nb"]]}, "the value has more than one line"),
        ({**GOOD, "chunk": 1, "tags": [["mood", "low"]]}, "'mood' is not in the schema"),
        ({**GOOD, "chunk": 1, "tags": [["topic", "x" * 81]]}, "has 81 characters"),
        ({**GOOD, "chunk": 1, "tags": [["topic", "\ud800"]]}, "not JSON"),
        ({**GOOD, "chunk": 1, "tags": [["topic"]]}, "not a pair of strings"),
        ({**GOOD, "chunk": 1, "tags": None}, "no list of tags"),
        ({**GOOD, "chunk": 1, "id": "doc-0-1"}, "its id is not that of the document"),
        ({**GOOD, "chunk": True}, "not all whole numbers"),
        ({"tags": [["topic", "cat"]]}, "not all whole numbers"),
        (
            {**GOOD, "chunk": 1, "tags": [["topic", " ".join("abcdefgh" * 4)]] * 8},
            "longer than 256 tokens",
        ),
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
    ],
)
def test_a_bad_record_is_rejected_with_its_reason_and_the_rest_is_kept(
    write_tokens: Any,
    write_annotations: Any,
    docs: Any,
    tmp_path: Path,
    record: Any,
    reason: str,
) -> None:
    last = {"part": 0, "doc": 2, "chunk": 0, "tags": [["topic", "ran"]]}
    records = [GOOD, record, last]
    if isinstance(record, dict) and record.get("tags") == [["topic", "\ud800"]]:
        records[1] = b'{"part":0,"doc":0,"chunk":1,"tags":[["topic","\\ud800"]]}'
    out = tmp_path / "overlay"
    manifest = run(write_tokens([docs]), write_annotations(records), out, max_rejected=0.5)
    assert manifest.counts["annotations"] == 2
    assert manifest.counts["rejected"] == 1
    (entry,) = rejected(out)
    assert reason in entry["reason"]
    assert entry["line"] == records.index(record if record in records else records[1], 1) + 1


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ({"part": 9}, "there is no such part"),
        ({"part": 0, "doc": 3}, "there is no such document"),
        ({"part": 1, "doc": 99}, "there is no such document"),
        ({"part": 0, "doc": 0, "chunk": 2}, "there is no such chunk"),
        ({"part": 0, "doc": 0, "chunk": 0, "tags": [["mood", "low"]]}, "not in the schema"),
    ],
)
def test_a_record_without_a_place_costs_no_record_after_it(
    write_tokens: Any,
    write_annotations: Any,
    docs: Any,
    tmp_path: Path,
    place: dict[str, Any],
    reason: str,
) -> None:
    good = [{**GOOD, "doc": d, "chunk": c} for d, c in ((0, 0), (0, 1), (2, 1))]
    good += [{**record, "part": 1} for record in good]
    out = tmp_path / "overlay"
    tokens = write_tokens([docs, docs])
    manifest = run(tokens, write_annotations([{**GOOD, **place}, *good]), out, max_rejected=1)
    assert manifest.counts["annotations"] == 6
    assert [(entry["line"], reason in entry["reason"]) for entry in rejected(out)] == [(1, True)]


def test_of_two_records_for_a_chunk_the_first_that_is_good_stands(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    records = [{**GOOD, "id": "another"}, GOOD, {**GOOD, "chunk": 7}, GOOD, {**GOOD, "chunk": 1}]
    records += [GOOD, {**GOOD, "chunk": 1}]
    out = tmp_path / "overlay"
    manifest = run(write_tokens([docs]), write_annotations(records), out, max_rejected=1)
    assert manifest.counts["annotations"] == 2
    assert {entry["line"]: entry["reason"].split(":")[0] for entry in rejected(out)} == {
        1: "its id is not that of the document at its place",
        3: "there is no such chunk",
        4: "a second record for its chunk",
        6: "out of order",
        7: "a second record for its chunk",
    }


def test_records_out_of_order_are_rejected(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    records = [{**GOOD, "doc": 2}, GOOD]
    out = tmp_path / "overlay"
    run(write_tokens([docs]), write_annotations(records), out, max_rejected=0.5)
    assert "out of order" in rejected(out)[0]["reason"]


def test_too_many_rejected_records_fail_the_work(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    annotations = write_annotations([GOOD, GOOD, GOOD])
    with pytest.raises(WorkFailed, match=r"2 of 3 records .* were rejected.*second record"):
        run(write_tokens([docs]), annotations, tmp_path / "overlay")
    assert not (tmp_path / "overlay/manifest.json").exists()


def test_the_annotations_own_schema_holds_unless_one_is_given(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    tokens = write_tokens([docs])
    record = {**GOOD, "tags": [["persona", "a sailor"]]}
    annotations = write_annotations([record], schema={"keys": ["persona"], "name": "world"})
    manifest = run(tokens, annotations, tmp_path / "one")
    assert manifest.extra["schema"]["name"] == "world"
    schema = tmp_path / "paper.yaml"
    schema.write_text("keys: [topic]\nmax_tags: 2\n")
    with pytest.raises(WorkFailed, match="'persona' is not in the schema 'paper'"):
        run(tokens, annotations, tmp_path / "two", schema=schema)


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
        manifest = run(tokens, annotations, tmp_path / "overlay")
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
        run(write_tokens([ids], [masks]), annotations, out, max_rejected=1)
        assert "only the last trained run" in rejected(out)[0]["reason"]

    def test_all_numbers_every_run(
        self, write_tokens: Any, write_annotations: Any, chat: Any, tmp_path: Path
    ) -> None:
        ids, masks = chat
        annotations = write_annotations(self.records((0, 0), (0, 1)))
        tokens = write_tokens([ids], [masks], train_turns="all")
        manifest = run(tokens, annotations, tmp_path / "overlay")
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
        run(tokens, write_annotations(self.records((0, 0))), tmp_path / "overlay")
        source = TokensDir.open(tokens)
        overlay = OverlayDir.open(tmp_path / "overlay", source).part(0)
        woven = interleave(next(source.parts[0].blocks()), overlay)
        document, mask = woven.document(0)
        assert mask is not None
        assert mask.astype(int).tolist() == [0, 0, 1, 1, 0] + [1] * (len(document) - 5)


class TestRefusedFiles:
    """A token file that cannot carry an overlay is refused whole; nothing is written."""

    def refuse(self, tokens: Path, annotations: Path, match: str, **options: Any) -> None:
        out = tokens.parent / "overlay"
        with pytest.raises(InputError, match=match):
            run(tokens, annotations, out, **options)
        assert not out.exists()

    def test_delimiter_in_a_document(
        self, write_tokens: Any, write_annotations: Any, docs: Any, tiny: AnchorTokenizer
    ) -> None:
        docs[1][0] = docs[1][1] = tiny.control.close
        docs[2][0] = tiny.control.open
        self.refuse(
            write_tokens([docs]),
            write_annotations([GOOD]),
            r"2 of 3 documents hold an annotation delimiter \(the first is document 1\)",
        )

    def test_bounds_that_disagree(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        a, b, c = map(len, docs)
        bounds = [[(0, a), (a, a + b + c)]]
        tokens = write_tokens([docs], bounds=bounds)
        self.refuse(tokens, write_annotations([GOOD]), "disagree about 1 document bounds")

    def test_document_without_a_token(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens = write_tokens([[docs[0], [], docs[1]]])
        self.refuse(tokens, write_annotations([GOOD]), "disagree about 1 document bounds")

    def test_no_end_of_text_at_the_end(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        docs[2].pop()
        self.refuse(
            write_tokens([docs]),
            write_annotations([GOOD]),
            "the last document has no end-of-text token",
        )

    def test_id_outside_the_vocabulary(
        self, write_tokens: Any, write_annotations: Any, docs: Any, tiny: AnchorTokenizer
    ) -> None:
        docs[0][0] = tiny.vocab_size
        self.refuse(
            write_tokens([docs]), write_annotations([GOOD]), f"holds the id {tiny.vocab_size}"
        )

    def test_tokens_that_changed(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens = write_tokens([docs])
        path = tokens / "token_ids_part_0000.npy"
        ids = np.fromfile(path, "<u2")
        ids[0] += 1
        ids.tofile(path)
        self.refuse(tokens, write_annotations([GOOD]), "changed since its manifest")

    def test_size_that_is_no_multiple_of_the_dtype(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens = write_tokens([docs])
        path = tokens / "token_ids_part_0000.npy"
        path.write_bytes(path.read_bytes()[:-1])
        self.refuse(tokens, write_annotations([GOOD]), "not a multiple of 2")

    def test_torn_bounds(self, write_tokens: Any, write_annotations: Any, docs: Any) -> None:
        tokens = write_tokens([docs])
        path = tokens / "token_ids_part_0000.csv.gz"
        path.write_bytes(path.read_bytes()[:-9])
        self.refuse(tokens, write_annotations([GOOD]), "cannot be read")
        with gzip.open(path, "wt") as file:
            file.write("start,end\n")
        self.refuse(tokens, tokens.parent / "annotations", ":1: not a row of start,end,id")

    def test_manifest_missing_or_torn(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens, annotations = write_tokens([docs]), write_annotations([GOOD])
        path = tokens / "manifest.json"
        path.write_bytes(path.read_bytes()[:-20])
        self.refuse(tokens, annotations, "not a whole manifest")
        path.unlink()
        self.refuse(tokens, annotations, "unfinished")

    def test_annotations_of_other_tokens(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        annotations = write_annotations([GOOD], tokens_manifest="0" * 64)
        self.refuse(write_tokens([docs]), annotations, "made for other tokens")

    def test_no_annotations(self, write_tokens: Any, write_annotations: Any, docs: Any) -> None:
        self.refuse(write_tokens([docs]), write_annotations([]), "holds no record")


def test_an_empty_document_is_counted_and_has_no_chunk(
    write_tokens: Any, write_annotations: Any, docs: Any, tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    tokens = write_tokens([[docs[0], [tiny.control.end_of_text], docs[1]]])
    records = [GOOD, {**GOOD, "doc": 1}]
    out = tmp_path / "overlay"
    manifest = run(tokens, write_annotations(records), out, max_rejected=1)
    assert manifest.counts["empty_documents"] == 1
    assert manifest.counts["documents"] == 3
    assert rejected(out)[0]["reason"] == "there is no such chunk"


def test_an_overlay_of_other_tokens_or_tokenizer_is_refused(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    tokens = write_tokens([docs])
    run(tokens, write_annotations([GOOD]), tmp_path / "overlay")
    other = write_tokens([docs[::-1]], folder=tmp_path / "other")
    with pytest.raises(InputError, match="belongs to another token file"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(other))
    more = write_tokens([docs, docs], folder=tmp_path / "more")
    with pytest.raises(InputError, match="made for 1 token files"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(more))
    manifest = orjson.loads((tokens / "manifest.json").read_bytes())
    manifest["extra"]["tokenizer_hash"] = "0" * 64
    (tokens / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(InputError, match="another tokenizer"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(tokens))


def test_an_overlay_with_other_delimiters_than_the_tokenizer_names_is_refused(
    write_tokens: Any,
    write_annotations: Any,
    docs: Any,
    tmp_path: Path,
    tiny: AnchorTokenizer,
    tiny_tokenizer_file: Path,
) -> None:
    tokens = write_tokens([docs])
    run(tokens, write_annotations([GOOD]), tmp_path / "overlay")
    other = AnchorTokenizer.load(
        tiny_tokenizer_file, delimiters=("<|im_start|>", "<|im_end|>"), layout="plain"
    )
    assert other.hash == tiny.hash
    same_ids = write_tokens([docs], folder=tmp_path / "other", tokenizer=other)
    with pytest.raises(InputError, match=r"<\|extra_id_1\|>.*<\|im_start\|>.*olmo-anchor overlay"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(same_ids))


class TestExistingOutput:
    def test_is_refused_and_left_as_it_is(
        self, write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
    ) -> None:
        out = tmp_path / "overlay"
        out.mkdir()
        (out / "mine").write_text("kept")
        tokens, annotations = write_tokens([docs]), write_annotations([GOOD])
        with pytest.raises(InputError, match="left alone"):
            run(tokens, annotations, out)
        (tokens / "token_ids_part_0000.npy").write_bytes(b"\0\0" * sum(map(len, docs)))
        with pytest.raises(InputError):
            run(tokens, annotations, out, overwrite=True)
        assert [path.name for path in out.iterdir()] == ["mine"]

    def test_finished_parts_are_kept_on_resuming(
        self,
        write_tokens: Any,
        write_annotations: Any,
        docs: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tokens = write_tokens([docs, docs, docs])
        # A duplicate, and places that do not exist at every seam of two parts.
        places = [(part, doc) for part in range(3) for doc in (9, 0, 0, 2, 9)]
        places[5:5] = [(9, 0), (2, 9), (0, 0)]
        records = [{**GOOD, "part": part, "doc": doc} for part, doc in places]
        annotations = write_annotations(records)
        whole = run(tokens, annotations, tmp_path / "whole", max_rejected=1)
        assert whole.counts["annotations"] == 6
        assert whole.counts["rejected"] == 12

        out = tmp_path / "overlay"
        import olmo_anchor.corpus.overlay_part as module

        scan = module.scan_part

        def stop_at_the_last(part: Any, *rest: Any) -> Any:
            if part.index == 2:
                raise KeyboardInterrupt
            return scan(part, *rest)

        monkeypatch.setattr(module, "scan_part", stop_at_the_last)
        with pytest.raises(KeyboardInterrupt):
            run(tokens, annotations, out, max_rejected=1)
        monkeypatch.setattr(module, "scan_part", scan)
        with pytest.raises(InputError, match="--resume finishes it"):
            run(tokens, annotations, out)
        with pytest.raises(InputError, match=r"other settings or inputs \(max_annotation_tokens\)"):
            run(tokens, annotations, out, resume=True, max_annotation_tokens=9)
        kept = (out / "part-0000.ids.npy").stat().st_mtime_ns
        resumed = run(tokens, annotations, out, resume=True, max_rejected=1)

        assert (out / "part-0000.ids.npy").stat().st_mtime_ns == kept
        assert resumed.counts == whole.counts
        assert resumed.extra == whole.extra
        names = sorted(path.name for path in out.iterdir())
        assert names == sorted(path.name for path in (tmp_path / "whole").iterdir())
        for name in names:
            if name != "manifest.json":
                assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert run(tokens, annotations, out, resume=True).hash == resumed.hash


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
    run(tokens, annotations, folder / "overlay", max_rejected=1)
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
