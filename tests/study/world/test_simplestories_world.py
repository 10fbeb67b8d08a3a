"""SimpleStories in the world's place: the same files and commands, from rows as the data set has
them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.errors import AnchorError, InputError, WorkFailed
from olmo_anchor.study.judge import of_world
from olmo_anchor.study.world.read import built_in

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

TOPICS, PERSONAS = (list(built_in().values[name]) for name in ("topic", "persona"))
# As the data set writes two of them.
COMMAS = {"a hurt ill-intentioned person": "a hurt, ill-intentioned person"}
COMMAS[PERSONAS[4]] = "a wise, old person who wants to teach the young"
ROWS = 2400


def rows() -> list[dict[str, Any]]:
    """50 stories for each topic, two of each generation; a third have no persona."""
    made = []
    for k in range(ROWS):
        persona = PERSONAS[k % 23]
        made.append(
            {
                "story": f"Story {k} began.\n\nIt rained, story {k} went on.\n \nThen it ended.",
                "topic": TOPICS[k % 48],
                "theme": ("Courage", "Kindness")[k % 2],
                "style": "fairy tale-like",
                "feature": "" if k % 2 else "a MacGuffin",
                "grammar": "past tense",
                "persona": None if k % 3 == 0 else COMMAS.get(persona, persona),
                "generation_id": f"generation-{k // 96}-{k % 48}",
                "word_count": 12,
            }
        )
    return made


def write(path: Path, stories: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(stories), path)
    return path


def run(*words: object) -> str:
    done = CliRunner().invoke(cli, ["study", *map(str, words)])
    if isinstance(done.exception, AnchorError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dump")
    made = rows()
    odd = [
        {**made[0], "story": " "},
        {**made[0], "story": "Taxes.", "topic": "tax law"},
        {**made[0], "story": "Nothing.", "topic": None},
        made[7],
        {**made[1], "story": "Long theme.", "theme": "x" * 300},
    ]
    write(folder / "train-00000-of-00002.parquet", made[:1200])
    write(folder / "train-00001-of-00002.parquet", made[1200:] + odd)
    return folder


@pytest.fixture(scope="module")
def world(dump: Path, tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_file: Path) -> Path:
    out = tmp_path_factory.mktemp("simple") / "world"
    run(
        *("world", "--simplestories", dump, "--out", out, "--seed", 1),
        *("--tokenizer", tiny_tokenizer_file),
    )
    return out


def test_every_story_is_in_one_part_and_counted(world: Path) -> None:
    counts = orjson.loads((world / "manifest.json").read_bytes())["counts"]
    assert counts["documents"] + counts["held back"] == ROWS + 1
    assert counts["documents"] == pytest.approx(ROWS / 2, abs=150)
    left_out = ("empty stories", "repeated stories", "stories without a known topic")
    assert [counts[what] for what in (*left_out, "theme that no annotation can hold")] == [
        1,
        1,
        2,
        1,
    ]
    assert counts["rows"] == ROWS + 5
    stories = [r["text"].split("\n\n")[-1] for r in lines(world / "documents.jsonl")]
    kept = [r["text"] for r in lines(world / "stories.jsonl")]
    assert len({*stories, *kept}) == ROWS + 1
    # What was written in one completion is in one part.
    groups = [
        {int(t.split()[1]) // 96 * 48 + int(t.split()[1]) % 48 for t in part if "Story" in t}
        for part in (stories, kept)
    ]
    assert not groups[0] & groups[1]


def test_documents_are_requests_and_stories_with_their_labels(world: Path) -> None:
    documents = {r["id"]: r["text"] for r in lines(world / "documents.jsonl")}
    named, asked = 0, 0
    for record in lines(world / "labels.jsonl"):
        chunks = documents[record["id"]].split("\n\n")
        assert len(chunks) == record["chunk"] + 1
        if chunks[-1] == "Long theme.":
            continue
        number = int(chunks[-1].split()[1])
        assert (
            chunks[-1]
            == f"Story {number} began.\nIt rained, story {number} went on.\nThen it ended."
        )
        labels = record["labels"]
        assert labels["topic"] == TOPICS[number % 48]
        assert labels.get("persona") == (None if number % 3 == 0 else PERSONAS[number % 23])
        assert labels.get("feature") == (None if number % 2 else "a MacGuffin")
        if record["chunk"]:
            asked += 1
            named += f"about {labels['topic']}" in chunks[0]
    assert asked == pytest.approx(0.85 * len(documents), abs=0.06 * len(documents))
    assert named == pytest.approx(0.4 * asked, abs=0.06 * asked)


def test_the_truth_leaves_out_what_a_story_has_not(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "truth.jsonl"
    run("truth", world / "labels.jsonl", "--world", world, "--out", out)
    assert out.read_bytes() == (world / "truth.jsonl").read_bytes()
    keys = Counter(tuple(key for key, _ in record["tags"]) for record in lines(out))
    assert {("topic", "theme", "style"), ("topic", "theme", "style", "feature")} <= set(keys)
    run(
        *("truth", world / "labels.jsonl", "--world", world, "--out", out),
        *("--attributes", "persona,theme", "--wrong", 1),
    )
    assert {dict(record["tags"]).get("persona", PERSONAS[0]) for record in lines(out)} == {
        *PERSONAS
    }
    allowed = orjson.loads((world / "schema.json").read_bytes())["keys"]
    assert allowed == ["topic", "theme", "style", "feature", "persona"]


def test_conversations_are_of_stories_that_were_held_back(world: Path, tmp_path: Path) -> None:
    pretraining = {r["text"].split("\n\n")[-1] for r in lines(world / "documents.jsonl")}
    for only, attribute, values in (
        ([], "topic", TOPICS[:5]),
        (["--only", "topic=all", "--only", "persona=8"], "persona", PERSONAS[:8]),
        (["--only", "topic=pirates,sports"], "topic", ["pirates", "sports"]),
    ):
        out = tmp_path / "sft"
        run(
            *("conversations", world, "--out", out, "--conversations", 40, *only, "--overwrite"),
        )
        told = [r["messages"][1]["content"] for r in lines(out / "conversations.jsonl")]
        assert len(set(told)) == 40
        assert not pretraining & set(told)
        labels = [record["labels"] for record in lines(out / "labels.jsonl")]
        assert {label[attribute] for label in labels} == {*values}
        for text, label in zip(told, labels, strict=True):
            number = int(text.split()[1])
            assert (label["topic"], label["theme"]) == (
                TOPICS[number % 48],
                ("Courage", "Kindness")[number % 2],
            )
        bits = orjson.loads((out / "manifest.json").read_bytes())["extra"]["entropy_bits"]
        assert 2.0 ** bits[attribute] == pytest.approx(len(values))
        assert bits["style"] == 0.0


def test_the_stories_can_run_out(world: Path, tmp_path: Path) -> None:
    call = ("conversations", world, "--out", tmp_path / "sft", "--only", "topic=pirates")
    with pytest.raises(WorkFailed, match=r"no story is left with topic 'pirates' after \d\d of 90"):
        run(*call, "--conversations", 90)
    assert not (tmp_path / "sft" / "conversations.jsonl").exists()


def test_the_files_go_through_the_pipeline(world: Path, tmp_path: Path) -> None:
    for words in (
        (
            "tokenize",
            world / "documents.jsonl",
            "--tokenizer",
            world / "tokenizer.json",
            "--out",
            tmp_path / "t",
        ),
        (
            "annotate",
            tmp_path / "t",
            "--annotator",
            "oracle",
            "--annotations",
            world / "truth.jsonl",
            "--schema",
            world / "schema.json",
            "--out",
            tmp_path / "a",
        ),
        ("overlay", tmp_path / "t", tmp_path / "a", "--out", tmp_path / "o"),
    ):
        done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    counts = orjson.loads((tmp_path / "o" / "manifest.json").read_bytes())["counts"]
    assert counts["annotations"] == len(lines(world / "labels.jsonl"))
    kinds = Counter(r["kind"] for r in lines(world / "prompts_base.jsonl"))
    assert kinds == {"open": 600, "inside": 150, "outside": 258}


def test_fewer_documents_are_the_first_ones(dump: Path, world: Path, tmp_path: Path) -> None:
    run("world", "--simplestories", dump, "--out", tmp_path / "few", "--seed", 1, "--documents", 50)
    few = lines(tmp_path / "few" / "documents.jsonl")
    assert few == lines(world / "documents.jsonl")[:50]
    assert not (tmp_path / "few" / "tokenizer.json").exists()


def test_what_is_no_such_data_set(world: Path, tmp_path: Path) -> None:
    def call(source: object, *more: object) -> str:
        return run("world", "--simplestories", source, "--out", tmp_path / "x", *more)

    with pytest.raises(InputError, match="no column `story` or `topic`"):
        call(write(tmp_path / "other.parquet", [{"text": "x"}]))
    with pytest.raises(WorkFailed, match="not one story for pretraining: 1 rows, 1 empty stories"):
        call(write(tmp_path / "none.parquet", [{"story": "", "topic": "sports"}]), "--overwrite")
    with pytest.raises(InputError, match="no such file, and not the id of a data set"):
        call(tmp_path / "nothing.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no Parquet file"):
        call(tmp_path / "empty")
    with pytest.raises(InputError, match="made from one of them"):
        call(tmp_path, "--world", "x.yaml")
    with pytest.raises(InputError, match="belong to --simplestories"):
        run("world", "--out", tmp_path / "x", "--held-back", 0.3)


def test_no_classifier_reads_them(world: Path) -> None:
    with pytest.raises(InputError, match="stories come from a data set, and only a language model"):
        of_world(str(world / "world.json"))
    with pytest.raises(InputError, match="only a language model"):
        run("confusion", world)
    with pytest.raises(InputError, match=r"world\.json: has no sentences of its own"):
        run("world", "--world", world / "world.json", "--out", world.parent / "again")
