"""Annotations that exist: found by id or place, in any order; what does not fit is told."""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from olmo_anchor.annotate.job import AnnotateConfig
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.corpus.overlay import OverlayConfig
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import read_manifest
from tests.annotate.conftest import records

TEXTS = ["The cat.\n\nThe mat.", "The dog ran.", "The\n\ncat\n\nsat"]


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def annotate(tokens: Path, annotations: Path, out: Path, **options: Any) -> Any:
    schema, name = options.pop("schema", None), options.pop("annotator", "file")
    annotator = AnnotatorConfig(name=name, annotations=annotations, schema=schema)
    return AnnotateConfig(tokens=tokens, annotator=annotator, out=out, **options).run()


def test_records_come_out_in_order_whatever_their_order_was(
    tokenize: Any, write_lines: Any, tmp_path: Path
) -> None:
    given = [
        {"part": 0, "doc": 2, "chunk": 1, "annotation": "topic:cat\nstyle:a:b"},
        {"id": "doc-1", "chunk": 0, "tags": [["topic", "dog"]]},
        {"id": "doc-0", "chunk": 1, "tags": [["topic", "mat"]]},
    ]
    tokens = tokenize(TEXTS)
    manifest = annotate(tokens, write_lines("mine.jsonl", given), tmp_path / "annotations")
    assert records(tmp_path / "annotations") == [
        {
            "part": 0,
            "doc": 0,
            "id": "doc-0",
            "chunk": 1,
            "text_hash": "dcbfc4bdd77affd7",
            "tags": [["topic", "mat"]],
            "annotator": "file",
            "attempt": 1,
        },
        {
            "part": 0,
            "doc": 1,
            "id": "doc-1",
            "chunk": 0,
            "text_hash": "0ea960d64c58eea4",
            "tags": [["topic", "dog"]],
            "annotator": "file",
            "attempt": 1,
        },
        {
            "part": 0,
            "doc": 2,
            "id": "doc-2",
            "chunk": 1,
            "text_hash": "020e6846b90a9def",
            "tags": [["topic", "cat"], ["style", "a:b"]],
            "annotator": "file",
            "attempt": 1,
        },
    ]
    assert manifest.counts == {"chunks": 6, "annotations": 3, "unannotated": 3, "rejected": 0}
    assert manifest.extra["tokens_manifest"] == read_manifest(tokens, "tokens").hash
    overlay = OverlayConfig(
        tokens=tokens, annotations=tmp_path / "annotations", out=tmp_path / "overlay"
    ).run()
    assert overlay.counts["annotations"] == 3


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"id": "doc-1", "chunk": 1, "tags": []}, "there is no such chunk"),
        ({"id": "doc-9", "chunk": 0, "tags": []}, "there is no such chunk"),
        ({"id": "doc-0", "chunk": 0, "tags": [["topic", "x"]]}, "a second record for its chunk"),
        ({"id": "doc-1", "chunk": 0, "tags": [["mood", "x"]]}, "not in the schema"),
        ({"id": "doc-1", "chunk": 0, "tags": [["topic", "a\nb"]]}, "more than one line"),
        ({"id": "doc-1", "chunk": 0, "annotation": "topic"}, "no ':' in the line"),
        ({"id": "doc-1", "chunk": 0}, "neither `tags` nor an `annotation`"),
        ({"id": "doc-1"}, "`chunk` is not a whole number"),
        ({"chunk": 0, "tags": []}, "names no document"),
        (b"{", "not JSON"),
        (b"3", "not a JSON object"),
    ],
)
def test_what_does_not_fit_is_rejected_with_its_reason(
    tokenize: Any, write_lines: Any, tmp_path: Path, bad: Any, reason: str
) -> None:
    good = {"id": "doc-0", "chunk": 0, "tags": [["topic", "cat"]]}
    path = write_lines("mine.jsonl", [good, bad])
    out = tmp_path / "annotations"
    manifest = annotate(tokenize(TEXTS), path, out, max_rejected=0.5)
    assert manifest.counts["annotations"] == manifest.counts["rejected"] == 1
    (entry,) = lines(out / "rejected.jsonl")
    assert reason in entry["reason"]
    assert entry.get("line") == 2 or entry["id"] == "doc-1"


def test_too_many_rejected_fail_and_are_not_counted_twice_on_resuming(
    tokenize: Any, write_lines: Any, tmp_path: Path
) -> None:
    given = [{"id": f"doc-{k}", "chunk": 0, "tags": [["topic", "x"]]} for k in (0, 1, 7, 8, 9)]
    tokens, path = tokenize(TEXTS), write_lines("mine.jsonl", given)
    out = tmp_path / "annotations"
    with pytest.raises(WorkFailed, match=r"3 of 5 records \(60\.0%\) were rejected"):
        annotate(tokens, path, out)
    manifest = annotate(tokens, path, out, resume=True, max_rejected=0.6)
    assert manifest.counts["rejected"] == 3
    assert len(records(out)) == 2


def test_a_job_of_which_most_is_rejected_stops_early(
    tokenize: Any, write_lines: Any, tmp_path: Path
) -> None:
    # Of three records the schema has the key of one.
    given = [
        {"id": f"doc-{k}", "chunk": 0, "tags": [["mood" if k % 3 else "topic", "cat"]]}
        for k in range(9000)
    ]
    tokens, path = tokenize(["The cat."] * 9000), write_lines("mine.jsonl", given)
    said = r"(\d+) of the first (\d+) chunks .* most often \(\1\): .*'mood' is not in the schema"
    with pytest.raises(WorkFailed, match=said) as caught:
        annotate(tokens, path, tmp_path / "annotations")
    match = re.search(said, str(caught.value))
    assert match is not None
    assert 200 <= int(match[1]) < int(match[2]) < 9000


def test_an_annotator_without_its_file_is_an_input_error(
    tokenize: Any, write_lines: Any, tmp_path: Path
) -> None:
    tokens, out = tokenize(TEXTS), tmp_path / "annotations"
    with pytest.raises(InputError, match="needs --annotations"):
        AnnotateConfig(tokens=tokens, annotator=AnnotatorConfig(name="oracle"), out=out).run()
    with pytest.raises(InputError, match="no such file"):
        annotate(tokens, tmp_path / "absent.jsonl", out)
    with pytest.raises(InputError, match="holds no annotation: line 1: not JSON"):
        annotate(tokens, write_lines("bad.jsonl", [b"?"]), out)
    assert not out.exists()


def test_conversations_have_a_chunk_for_each_trained_run(
    tokenize: Any, write_lines: Any, tmp_path: Path
) -> None:
    turns = [
        {"role": role, "content": content}
        for role, content in [
            ("user", "cat?"),
            ("assistant", "The cat."),
            ("user", "dog?"),
            ("assistant", "The dog."),
        ]
    ]
    tokens = tokenize([turns], chat=True)
    path = write_lines("mine.jsonl", [{"id": "doc-0", "chunk": 0, "tags": [["topic", "dog"]]}])
    annotate(tokens, path, tmp_path / "annotations", annotator="oracle")
    (record,) = records(tmp_path / "annotations")
    assert record["annotator"] == "oracle"
    assert record["text_hash"] == hashlib.sha256(b"The dog.").hexdigest()[:16]


@pytest.mark.parametrize("kind", ["gz", "zst", "lists.parquet", "structs.parquet", "map.parquet"])
def test_compressed_files_and_parquet_are_read_alike(
    tokenize: Any, tmp_path: Path, kind: str
) -> None:
    given: list[dict[str, Any]] = [
        {"id": "doc-0", "chunk": 1, "tags": [["topic", "mat"], ["entity", "mat"]]},
        {"id": "doc-1", "chunk": 0, "tags": [["topic", "dog"]]},
        {"id": "doc-9", "chunk": 0, "tags": [["topic", "nothing"]]},
    ]
    path = tmp_path / f"mine.jsonl.{kind}"
    raw = b"\n\n".join(orjson.dumps(record) for record in given)
    if kind == "gz":
        path.write_bytes(gzip.compress(raw))
    elif kind == "zst":
        path.write_bytes(zstandard.compress(raw))
    else:
        pytest.importorskip("pyarrow.parquet")
        import pyarrow

        if kind == "structs.parquet":
            for record in given:
                record["tags"] = [{"key": key, "value": value} for key, value in record["tags"]]
        table = pyarrow.Table.from_pylist(given)
        if kind == "map.parquet":
            tags = pyarrow.array(
                [[*map(tuple, record["tags"])] for record in given],
                pyarrow.map_(pyarrow.string(), pyarrow.string()),
            )
            table = table.set_column(2, "tags", tags)
        pyarrow.parquet.write_table(table, path)
    out = tmp_path / "annotations"
    annotate(tokenize(TEXTS), path, out)
    assert [record["tags"] for record in records(out)] == [
        [["topic", "mat"], ["entity", "mat"]],
        [["topic", "dog"]],
    ]
    (rejected,) = lines(out / "rejected.jsonl")
    assert rejected["line"] == (3 if "parquet" in kind else 5)


def test_datatrove_is_not_needed(
    tokenize: Any, write_lines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datatrove", None)
    monkeypatch.setitem(sys.modules, "datatrove.executor", None)
    path = write_lines("mine.jsonl", [{"id": "doc-1", "chunk": 0, "tags": [["topic", "dog"]]}])
    tokens = tokenize(TEXTS)
    annotate(tokens, path, tmp_path / "annotations")
    with pytest.raises(InputError, match=r"pip install 'olmo-anchor\[annotate\]'"):
        AnnotateConfig(
            tokens=tokens, annotator=AnnotatorConfig(name="keyword"), out=tmp_path / "other"
        ).run()
