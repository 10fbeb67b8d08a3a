"""The controlled subsets: uniform over their values, truth beside them, nothing held out inside."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
import yaml

from olmo_anchor.corpus.overlay_files import OverlayDir
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.manifest import read_manifest
from tests.data_prep.conftest import ROOT, Row, make_data, read_jsonl, run, write_parquet

SCRIPT = ROOT / "data_prep" / "simplestories.py"
CHOICES = yaml.safe_load((ROOT / "data_prep" / "simplestories.yaml").read_text())["choices"]
# As the data set writes them.
COMMAS = {
    "a hurt ill-intentioned person": "a hurt, ill-intentioned person",
    "a wise old person who wants to teach the young": "a wise, old person who wants to teach the "
    "young",
}
COPIES = 300  # of which three a topic are held out
SUBSETS = ("topic-5", "topic-14", "topic-48", "persona-8", "persona-12", "persona-23")


def rows(copies: int) -> list[Row]:
    """``copies`` stories for each topic, all with a persona; two of each generation."""
    made = []
    for k in range(copies * 48):
        persona = CHOICES["persona"][k % 23]
        made.append(
            {
                "story": f"Story {k}. The cat sat on the mat.",
                "topic": CHOICES["topic"][k % 48],
                "theme": "Courage",
                "style": "epic",
                "feature": "" if k % 2 else "irony",
                "grammar": "past tense",
                "persona": COMMAS.get(persona, persona),
                "initial_word_type": "a noun",
                "initial_letter": "S",
                "word_count": 8,
                "generation_id": f"generation-{k // 2}",
                "model": "gpt-4o-mini-2024-07-18",
            }
        )
    return made


def choose(given: list[Row], folder: Path, *options: str) -> Path:
    source = write_parquet(folder / "raw" / "data" / "train-00000-of-00007.parquet", given)
    run("python", SCRIPT, source.parent, "--out", folder / "out", *options)
    return folder / "out"


def tags_of(records: list[Row], key: str) -> Counter[str]:
    return Counter(dict(record["tags"])[key] for record in records)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return choose(rows(COPIES), tmp_path_factory.mktemp("stories"), "--examples", "960")


def test_a_subset_is_uniform_over_its_values(chosen: Path) -> None:
    for name in SUBSETS:
        attribute, size = name.split("-")
        found = tags_of(read_jsonl(chosen / name / "train_truth.jsonl"), attribute)
        assert set(found) == set(CHOICES[attribute][: int(size)]), name
        assert set(found.values()) == {960 // int(size)}, name
        held_out = tags_of(read_jsonl(chosen / name / "heldout_truth.jsonl"), attribute)
        assert len(set(held_out.values())) == 1, name


def test_a_conversation_and_its_truth(chosen: Path) -> None:
    stories = {row["story"]: row for row in rows(COPIES)}
    conversations = read_jsonl(chosen / "persona-8" / "train.jsonl")
    truths = read_jsonl(chosen / "persona-8" / "train_truth.jsonl")
    assert len(conversations) == len(truths) > 0
    for conversation, truth in zip(conversations, truths, strict=True):
        request, answer = conversation["messages"]
        row = stories[answer["content"]]
        assert (request["role"], answer["role"]) == ("user", "assistant")
        assert request["content"] in CHOICES["requests"]
        persona = row["persona"].replace(",", "")
        expected = [["topic", row["topic"]], ["persona", persona]]
        expected += [["theme", "Courage"], ["style", "epic"]]
        expected += [["feature", "irony"]] if row["feature"] else []
        assert truth == {"id": conversation["id"], "chunk": 0, "tags": expected}
    assert len({record["messages"][0]["content"] for record in conversations}) > 3


def test_what_is_held_out_is_in_no_subset_nor_its_generation(chosen: Path) -> None:
    generation = {row["story"]: row["generation_id"] for row in rows(COPIES)}

    def generations(part: str) -> set[str]:
        return {
            generation[record["messages"][1]["content"]]
            for name in SUBSETS
            for record in read_jsonl(chosen / name / f"{part}.jsonl")
        }

    assert generations("heldout")
    assert not generations("heldout") & generations("train")


def test_the_choice_depends_on_the_stories_alone(chosen: Path, tmp_path: Path) -> None:
    given = rows(COPIES)
    random.Random(1).shuffle(given)
    again = choose([*given, *given[:50]], tmp_path, "--examples", "960")
    for name in SUBSETS:
        one, other = (
            {record["id"] for record in read_jsonl(folder / name / "train.jsonl")}
            for folder in (chosen, again)
        )
        assert one == other
    assert read_manifest(again, "subsets").counts["repeated stories"] == 50


def test_a_scarce_value_makes_the_subset_smaller_not_uneven(tmp_path: Path) -> None:
    given = [row for k, row in enumerate(rows(40)) if row["topic"] != "gardens" or k < 48 * 3]
    source = write_parquet(tmp_path / "raw" / "train.parquet", given)
    call = ("python", SCRIPT, source, "--out", tmp_path / "out", "--examples", "100")
    said = run(*call).stderr
    assert "topic-5: 15 examples, not 100, as only 3 stories have the topic 'gardens'" in said
    found = tags_of(read_jsonl(tmp_path / "out" / "topic-5" / "train_truth.jsonl"), "topic")
    assert set(found.values()) == {3}
    # The same call has nothing to do; another is not mixed into it.
    assert "finished already" in run(*call).stdout
    assert "made by another call" in run(*call[:-1], "50", code=2).stderr


def test_a_value_without_stories_is_refused(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", rows(1)[:40])
    failed = run("python", SCRIPT, source, "--out", tmp_path / "out", code=1)
    assert "no story has the topic 'time travel'" in failed.stderr
    assert not (tmp_path / "out").exists()
    wrong = write_parquet(tmp_path / "b.parquet", [{"text": "x"}])
    refused = run("python", SCRIPT, wrong, "--out", tmp_path / "out", code=2)
    assert "has no column 'story'; the columns are text" in refused.stderr


@pytest.mark.slow
def test_from_parquet_to_overlays(tiny_tokenizer_file: Path, tmp_path: Path) -> None:
    write_parquet(tmp_path / "raw" / "train-00000-of-00007.parquet", rows(4))
    data = tmp_path / "data"
    make_data("simplestories", tmp_path / "raw", data, tiny_tokenizer_file, LIMIT=192)
    for name in SUBSETS:
        out = data / "simplestories" / name
        tokens = TokensDir.open(out / "tokens")
        overlay = OverlayDir.open(out / "overlay", tokens)
        assert tokens.chat
        assert tokens.documents == len(overlay.part(0).starts) - 1 > 0, "every story annotated"
        assert overlay.unannotated == (0,) or list(overlay.unannotated) == [0]
