"""One spelling for each value: what changes, what must not; an overlay takes the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from olmo_anchor.annotate.job import AnnotateConfig
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.annotation import PAPER_SCHEMA
from olmo_anchor.corpus.overlay import OverlayConfig
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import read_manifest, sha256_file
from olmo_anchor.quality.rules import Rules, load_synonyms
from tests.annotate.conftest import records
from tests.quality.conftest import Run

TEXTS = ["The cat.\n\nThe mat.", "The dog ran.", "The\n\ncat\n\nsat"]
GIVEN = {
    (0, 0): [("topic", "CAT"), ("topic", "cat"), ("entity", "Tom  Cat")],
    (0, 1): [("topic", "Motion\u00a0Picture"), ("style", "\uff30lain \ufb01ction")],
    (1, 0): [("topic", "dog"), ("location", "NEW YORK")],
}
SYNONYMS = "topic: {film: [movie, motion picture]}\nlocation: {New York: new york}\n"


def tags(folder: Path) -> list[list[list[str]]]:
    return [record["tags"] for record in records(folder)]


@pytest.fixture
def folder(tokenize: Any, annotate: Any) -> Path:
    made: Path = annotate(tokenize(TEXTS), GIVEN)
    return made


def test_values_and_what_is_told_of_them(run: Run, folder: Path, tmp_path: Path) -> None:
    synonyms, out = tmp_path / "synonyms.yaml", tmp_path / "clean"
    synonyms.write_text(SYNONYMS)
    said = run("normalise", folder, "--out", out, "--synonyms", synonyms)
    assert tags(out) == [
        [["topic", "cat"], ["entity", "Tom Cat"]],
        [["topic", "film"], ["style", "plain fiction"]],
        [["topic", "dog"], ["location", "New York"]],
    ]
    assert "5 of 7 values changed, in 3 of 3 annotations; 1 tags dropped" in said
    assert "1 \u00d7 topic: CAT → cat" in said
    assert f"next: olmo-anchor overlay {tmp_path / 'tokens'} {out} --out OVERLAY_DIR" in said
    source, manifest = (read_manifest(one, "annotations") for one in (folder, out))
    assert manifest.counts == {
        "chunks": 6,
        "annotations": 3,
        "unannotated": 3,
        "rejected": 0,
        "tags": 7,
        "changed_values": 5,
        "dropped_tags": 1,
        "kept_values": 0,
        "changed_annotations": 3,
    }
    assert [one["sha256"] for one in manifest.inputs] == [
        source.hash,
        source.extra["tokens_manifest"],
        sha256_file(synonyms),
    ]
    assert manifest.config["case"] == "lower"
    assert manifest.config["synonyms"]["sha256"] == sha256_file(synonyms)
    assert manifest.extra["annotator"] == "file, normalised"
    for name in ("tokens_manifest", "schema", "min_chunk_tokens", "records"):
        assert manifest.extra[name] == source.extra[name]
    rest = [{k: v for k, v in record.items() if k != "tags"} for record in records(out)]
    assert rest == [{k: v for k, v in r.items() if k != "tags"} for r in records(folder)]


def test_an_overlay_takes_it_and_again_changes_nothing(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    out, again = tmp_path / "clean", tmp_path / "again"
    run("normalise", folder, "--out", out)
    overlay = OverlayConfig(
        tokens=tmp_path / "tokens", annotations=out, out=tmp_path / "overlay"
    ).run()
    assert overlay.counts["annotations"] == 3
    assert "0 of 6 values changed, in 0 of 3 annotations" in run("normalise", out, "--out", again)
    assert tags(again) == tags(out)
    assert read_manifest(again).extra["annotator"] == "file, normalised"
    stats = tmp_path / "stats.json"
    run("stats", again, "--json", stats, "--against", folder)
    found = orjson.loads(stats.read_bytes())
    assert found["tokens"]["total"] == overlay.counts["annotation_tokens"]
    assert found["agreement"]["same"] == 3


def test_case_is_kept_where_it_is_asked(run: Run, folder: Path, tmp_path: Path) -> None:
    run("normalise", folder, "--out", tmp_path / "a", "--keep-case", "topic")
    assert tags(tmp_path / "a")[0] == [["topic", "CAT"], ["topic", "cat"], ["entity", "tom cat"]]
    run("normalise", folder, "--out", tmp_path / "b", "--case", "keep", "--unicode", "keep")
    assert tags(tmp_path / "b")[1] == [
        ["topic", "Motion Picture"],
        ["style", "\uff30lain \ufb01ction"],
    ]


def test_what_the_schema_would_refuse_stays(
    run: Run, tokenize: Any, annotate: Any, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text("{keys: [topic], max_value_chars: 4, name: short}")
    folder = annotate(tokenize(TEXTS), {(0, 0): [("topic", "A\ufb03x")]}, schema=schema)
    said = run("normalise", folder, "--out", tmp_path / "clean")
    assert tags(tmp_path / "clean") == [[["topic", "A\ufb03x"]]]
    assert "1 values of topic stay as they were: the value of 'topic' has 5 characters" in said
    manifest = read_manifest(tmp_path / "clean")
    assert manifest.counts["kept_values"] == 1
    assert list(manifest.extra["kept_reasons"].values()) == [1]


def test_a_dry_run_says_the_same_and_writes_nothing(run: Run, folder: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = run("normalise", folder, "--dry-run")
    assert said.endswith("nothing was written\n")
    assert sorted(tmp_path.rglob("*")) == before
    assert said.splitlines()[:-1] == [
        line.removeprefix(f"{tmp_path / 'clean'}: ")
        for line in run("normalise", folder, "--out", tmp_path / "clean").splitlines()[:-1]
    ]


def test_output_is_replaced_only_when_told(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean"
    run("normalise", folder, "--out", out, "--case", "keep")
    with pytest.raises(InputError, match="--overwrite replaces it"):
        run("normalise", folder, "--out", out)
    with pytest.raises(InputError, match="holds the input"):
        run("normalise", folder, "--out", folder, "--overwrite")
    assert tags(out)[0][0] == ["topic", "CAT"]
    run("normalise", folder, "--out", out, "--overwrite")
    assert tags(out)[0][0] == ["topic", "cat"]
    with pytest.raises(click.UsageError, match="--out DIR"):
        run("normalise", folder)


def _tear(folder: Path) -> None:
    path = folder / "records" / "00000.jsonl.zst"
    path.write_bytes(path.read_bytes()[:-9])


def test_torn_input_leaves_no_manifest_and_replaces_nothing(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clean"
    run("normalise", folder, "--out", out)
    before = (out / "manifest.json").read_bytes()
    _tear(folder)
    for options in (["--overwrite"], ["--dry-run"]):
        with pytest.raises(InputError, match=r"00000\.jsonl\.zst: "):
            run("normalise", folder, "--out", out, *options)
    assert (out / "manifest.json").read_bytes() == before
    with pytest.raises(InputError, match=r"00000\.jsonl\.zst: "):
        run("normalise", folder, "--out", tmp_path / "new")
    assert not (tmp_path / "new" / "manifest.json").exists()


def test_rejected_chunks_come_along(run: Run, tokenize: Any, annotate: Any, tmp_path: Path) -> None:
    given = {**GIVEN, (2, 2): [("mood", "x")]}
    folder = annotate(tokenize(TEXTS), given, max_rejected=1.0)
    run("normalise", folder, "--out", tmp_path / "clean")
    assert "1 of 1 rejected chunks" in run("show", tmp_path / "clean", "--rejected")
    assert read_manifest(tmp_path / "clean").counts["rejected"] == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mood: {a: [b]}", "the key 'mood' is not in the schema 'paper'"),
        ("topic: [a, b]", "values under a key, each with a list"),
        ("[topic]", "values under a key, each with a list"),
        ("topic: {no: [nope]}", "quote words such as yes, no"),
        ("topic: {a: [1]}", "all of them strings"),
        ("topic: {film: [movie], cinema: [Movie]}", "stands for both 'film' and 'cinema'"),
        ("topic: {film: [movie], movie: [flick]}", "'movie' stands for both"),
        ("topic: {'': [movie]}", "the value is empty"),
        ("topic: {", "cannot be read as YAML"),
    ],
)
def test_synonyms_that_make_no_sense(
    run: Run, folder: Path, tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "synonyms.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"{path}: .*{told}"):
        run("normalise", folder, "--dry-run", "--synonyms", path)


@pytest.mark.slow
def test_files_and_their_order_stay(run: Run, tokenize: Any, tmp_path: Path) -> None:
    pytest.importorskip("yake")
    texts = [f"The captain met Anne Bonny at harbour {k}." for k in range(9)]
    tokens, folder, out = tokenize(texts), tmp_path / "keywords", tmp_path / "clean"
    AnnotateConfig(
        tokens=tokens, annotator=AnnotatorConfig(name="keyword"), out=folder, tasks=3
    ).run()
    run("normalise", folder, "--out", out)
    names = [f"{number:05d}.jsonl.zst" for number in range(3)]
    assert sorted(path.name for path in (out / "records").iterdir()) == names
    places = [(record["doc"], record["chunk"]) for record in records(out)]
    assert places == [(record["doc"], record["chunk"]) for record in records(folder)]
    whole = zstandard.ZstdDecompressor().stream_reader((out / "records" / names[1]).read_bytes())
    assert orjson.loads(whole.read().splitlines()[0])["doc"] == 3
    with pytest.raises(InputError, match="begun with other settings"):
        AnnotateConfig(
            tokens=tokens, annotator=AnnotatorConfig(name="keyword"), out=out, resume=True
        ).run()


class TestRules:
    def test_readable_lower_case(self) -> None:
        assert Rules().value("topic", "Stra\u00dfe") == "stra\u00dfe"
        assert Rules().value("topic", "\u039f\u0394\u039f\u03a3") == "\u03bf\u03b4\u03bf\u03c2"
        assert Rules().value("entity", "  Anne \t Bonny ") == "Anne Bonny"

    def test_a_synonym_is_written_as_the_file_has_it(self, tmp_path: Path) -> None:
        path = tmp_path / "s.yaml"
        path.write_text("topic: {NASA: [space agency]}\nentity: {Ltd: ['ltd.']}")
        rules = Rules(synonyms=load_synonyms(path, PAPER_SCHEMA))
        for value in ("Space  Agency", "nasa", "NASA", "space agency"):
            assert rules.value("topic", value) == "NASA"
        assert rules.value("entity", "LTD.") == "Ltd"
        assert rules.value("action", "nasa") == "nasa"

    @given(st.text(min_size=1), st.sampled_from(["NFKC", "NFC", "keep"]))
    def test_twice_is_once(self, value: str, form: Any) -> None:
        rules = Rules(unicode=form, synonyms={"topic": {"movie": "Film", "film": "Film"}})
        for key in ("topic", "entity"):
            once = rules.value(key, value)
            assert rules.value(key, once) == once
