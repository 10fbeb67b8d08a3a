"""The world says what its labels say, and every word of it can be told apart."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.entropy import plug_in
from olmo_anchor.spans import chunk_starts
from olmo_anchor.study.judge import story_world
from olmo_anchor.study.world.read import built_in
from olmo_anchor.study.world.stories import Story, StoryWorld, request
from olmo_anchor.study.world.tokenizer import UNKNOWN, build_tokenizer
from olmo_anchor.study.world.write import write_world
from olmo_anchor.tokenizer import AnchorTokenizer

WORLD = StoryWorld(built_in(), seed=5)
DOCUMENTS = list(WORLD.documents(1500))
TALKS = list(WORLD.conversations(1600))
STORIES: list[Story] = [
    *(story for document in DOCUMENTS for story in document.stories),
    *(story for _, story in TALKS),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "world"
    write_world(out, built_in(), 5, len(DOCUMENTS))
    return out


def test_the_command_names_the_next_one(tmp_path: Path) -> None:
    out = tmp_path / "world"
    call = ["study", "world", "--out", str(out), "--documents", "20"]
    printed = CliRunner().invoke(cli, call).output.splitlines()[-1]
    assert printed.startswith("next: olmo-anchor ")
    words = printed.removeprefix("next: olmo-anchor ").split()
    following = CliRunner().invoke(cli, [*words[:-1], str(tmp_path / "tokens")])
    assert (words[-1], following.exit_code) == ("TOKENS_DIR", 0), following.output
    assert (tmp_path / "tokens" / "manifest.json").is_file()


def test_the_lists_are_as_long_as_promised() -> None:
    values = {name: len(some) for name, some in built_in().values.items()}
    assert values == {"topic": 48, "name": 30, "place": 20, "persona": 23}
    assert all(len(some) == 4 for some in built_in().attributes["topic"].values.values())
    subsets = {
        name: [len(some) for some in one.subsets.values()]
        for name, one in built_in().attributes.items()
    }
    assert subsets == {"topic": [5, 14, 48], "persona": [1, 8, 12, 23], "name": [], "place": []}


def test_documents_are_what_they_have_always_been(tmp_path: Path) -> None:
    # Models, results and examples are of these bytes: seed 0, the first 200.
    write_world(tmp_path / "world", built_in(), 0, 200)
    written = (tmp_path / "world" / "documents.jsonl").read_bytes()
    assert hashlib.sha256(written).hexdigest() == (
        "30511b3101634a4658ded191b319e44f4601484bb035c824afa9fe5db6468704"
    )


def test_the_judge_recovers_every_label_of_every_story() -> None:
    for story in STORIES:
        verdict = story_world(story.text)
        assert verdict.valid, verdict.reasons
        assert (verdict.labels, verdict.styled) == (story.labels.values, story.labels.styled)


def test_labels_are_drawn_evenly() -> None:
    for attribute, values in (("topic", 48), ("name", 30), ("place", 20), ("persona", 23)):
        for stories in ([s for d in DOCUMENTS for s in d.stories], [s for _, s in TALKS]):
            counts = Counter(story.labels.values[attribute] for story in stories)
            taught = len(built_in().sft.get(attribute, ()))
            most = math.log2(taught if stories[0].labels.styled and taught else values)
            # The plug-in lies below by (k - 1) / 2n nats on average, and never above.
            assert most - 3 * values / len(stories) < plug_in(list(counts.values())) <= most + 1e-9


def test_what_a_request_names_is_what_the_story_tells() -> None:
    for document in DOCUMENTS:
        asked = document.request
        for story in document.stories if asked else ():
            assert asked is not None
            assert asked.named.items() <= dict(story.labels.values).items()
    for asked, story in TALKS:
        assert asked.named.items() <= dict(story.labels.values).items()
        assert story.labels.values["topic"] in built_in().sft["topic"]
        assert story.labels.styled


def test_requests_are_made_of_parts() -> None:
    assert request(built_in(), "Write a story", {}).text == "Write a story."
    whole = request(
        built_in(), "Write a story", {"place": "mill", "name": "Bo", "topic": "pirates"}
    )
    assert whole.text == "Write a story about pirates with Bo at the mill."


def test_more_documents_do_not_change_the_ones_before() -> None:
    assert list(StoryWorld(built_in(), seed=5).documents(20)) == DOCUMENTS[:20]
    assert list(WORLD.conversations(20)) == TALKS[:20]


def test_text_survives_the_tokenizer() -> None:
    tokenizer = build_tokenizer(built_in())
    unknown = tokenizer.token_to_id(UNKNOWN)
    texts = [document.text for document in DOCUMENTS]
    texts += [f"{asked.text}\n\n{story.text}" for asked, story in TALKS]
    for text in texts:
        ids = tokenizer.encode(text).ids
        assert unknown not in ids
        assert tokenizer.decode(ids) == text


def test_a_word_is_one_token_wherever_it_stands(folder: Path) -> None:
    tokenizer = AnchorTokenizer.load(folder / "tokenizer.json")
    (pirates,) = tokenizer.encode("pirates")
    for text in ("about pirates.", "topic:pirates", "\npirates\n", "pirates, pirates"):
        assert pirates in tokenizer.encode(text)
    assert tokenizer.vocab_size < 750
    assert set(tokenizer.encode("<|im_start|> zebra")) == {tokenizer.encode(UNKNOWN)[0]}


def test_transformers_reads_the_same_ids(folder: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    # Saving must not change what is special: the export compares.
    saved = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        eos_token="<|endoftext|>",
        pad_token="<|pad|>",
    )
    saved.save_pretrained(tmp_path)
    before, after = (
        orjson.loads((place / "tokenizer.json").read_bytes()) for place in (folder, tmp_path)
    )
    assert before["added_tokens"] == after["added_tokens"]
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    ours = AnchorTokenizer.load(folder / "tokenizer.json")
    text = STORIES[0].text
    assert theirs(text)["input_ids"] == ours.encode(text)
    assert theirs.decode(ours.encode(text)) == text


def test_truth_counts_chunks_as_the_token_ids_do(folder: Path) -> None:
    tokenizer = AnchorTokenizer.load(folder / "tokenizer.json")
    texts = {r["id"]: r["text"] for r in _lines(folder / "documents.jsonl")}
    assert len(texts) == len(DOCUMENTS)
    for record in _lines(folder / "truth.jsonl"):
        ids = tokenizer.encode(texts[record["id"]])
        bounds = [*chunk_starts(ids, tokenizer.newlines), len(ids)]
        chunk = tokenizer.decode(ids[bounds[record["chunk"]] : bounds[record["chunk"] + 1]])
        found = story_world(chunk).labels
        assert record["tags"] == [["topic", found["topic"]], ["name", found["name"]]]


def test_equal_seeds_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_world(tmp_path / "again", built_in(), 5, len(DOCUMENTS))
    write_world(tmp_path / "other", built_in(), 6, 20)
    for name in ("documents.jsonl", "labels.jsonl", "conversations.jsonl", "tokenizer.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    other = (tmp_path / "other" / "documents.jsonl").read_bytes()
    assert other not in (folder / "documents.jsonl").read_bytes()


def test_a_folder_that_holds_something_is_left_alone(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(InputError, match="overwrite"):
        write_world(folder, built_in(), 5, 20)
    assert (folder / "manifest.json").read_bytes() == before


def _lines(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
