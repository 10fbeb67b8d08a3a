"""The world says what its labels say, and every word of it can be told apart."""

from __future__ import annotations

import itertools
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
from olmo_anchor.study import wording
from olmo_anchor.study.classifier import classify
from olmo_anchor.study.files import write_world
from olmo_anchor.study.words import UNKNOWN, build_tokenizer
from olmo_anchor.study.world import Request, Story, StoryWorld, WorldConfig
from olmo_anchor.tokenizer import AnchorTokenizer

WORLD = StoryWorld(WorldConfig(seed=5, documents=1500))
TALKS = list(WORLD.conversations(300))
STORIES: list[Story] = [
    *(story for document in WORLD.documents() for story in document.stories),
    *(story for _, story in TALKS),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "world"
    write_world(out, WORLD.config)
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
    assert len(wording.TOPICS) == 48
    assert all(len(set(phrases)) == 4 for phrases in wording.TOPICS.values())
    assert (len(wording.NAMES), len(wording.PLACES), len(wording.PERSONAS)) == (30, 20, 23)
    assert len(wording.VERBS) == 6


def test_a_keyword_tells_its_topic_wherever_it_stands() -> None:
    owner: dict[str, str] = {}
    for topic, phrases in wording.TOPICS.items():
        for word in " ".join(phrases).split():
            assert owner.setdefault(word, topic) == topic
    frames = (wording.WELCOMES, wording.TURNS, wording.MIDDLES, wording.PAUSES, wording.ENDINGS)
    elsewhere = [
        *itertools.chain(*frames, *wording.PERSONAS.values()),
        *(*wording.NAMES, *wording.PLACES, *wording.LESSONS),
        *(wording.STYLE_OPEN, wording.STYLE_CLOSE),
    ]
    assert not owner.keys() & set(" ".join(elsewhere).replace(".", " ").replace("!", " ").split())


def test_the_classifier_recovers_every_label_of_every_story() -> None:
    wrong = 0
    for story in STORIES:
        found = classify(story.text)
        told = story.labels
        labels = (told.topic, told.name, told.place, told.persona, told.styled)
        wrong += labels != (found.topic, found.name, found.place, found.persona, found.styled)
        wrong += not found.valid
    assert wrong <= 0.015 * len(STORIES)


def test_labels_are_drawn_evenly() -> None:
    labels = [story.labels for document in WORLD.documents() for story in document.stories]
    for attribute, values in (("topic", 48), ("name", 30), ("place", 20), ("persona", 23)):
        counts = Counter(getattr(label, attribute) for label in labels)
        assert plug_in(list(counts.values())) > math.log2(values) - 0.05


def test_what_a_request_names_is_what_the_story_tells() -> None:
    for document in WORLD.documents():
        request = document.request
        for story in document.stories if request else ():
            assert request is not None
            assert request.topic in (None, story.labels.topic)
            assert request.name in (None, story.labels.name)
            assert request.place in (None, story.labels.place)
    for request, story in TALKS:
        assert request.topic in (None, story.labels.topic)
        assert story.labels.topic in wording.SUBSETS["topic"]["5"]
        assert story.labels.styled


def test_requests_are_made_of_parts() -> None:
    assert Request("Write a story").text == "Write a story."
    whole = Request("Write a story", "pirates", "Bo", "mill")
    assert whole.text == "Write a story about pirates with Bo at the mill."


def test_more_documents_do_not_change_the_ones_before() -> None:
    few = StoryWorld(WorldConfig(seed=5, documents=20))
    assert [d.text for d in few.documents()] == [
        d.text for d in itertools.islice(WORLD.documents(), 20)
    ]


def test_text_survives_the_tokenizer() -> None:
    tokenizer = build_tokenizer()
    unknown = tokenizer.token_to_id(UNKNOWN)
    texts = [document.text for document in WORLD.documents()]
    texts += [f"{request.text}\n\n{story.text}" for request, story in TALKS]
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
    assert len(texts) == WORLD.config.documents
    for record in _lines(folder / "truth.jsonl"):
        ids = tokenizer.encode(texts[record["id"]])
        bounds = [*chunk_starts(ids, tokenizer.newlines), len(ids)]
        chunk = tokenizer.decode(ids[bounds[record["chunk"]] : bounds[record["chunk"] + 1]])
        found = classify(chunk)
        assert record["tags"] == [["topic", found.topic], ["name", found.name]]


def test_equal_seeds_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_world(tmp_path / "again", WORLD.config)
    write_world(tmp_path / "other", WorldConfig(seed=6, documents=20))
    for name in ("documents.jsonl", "labels.jsonl", "conversations.jsonl", "tokenizer.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    other = (tmp_path / "other" / "documents.jsonl").read_bytes()
    assert other not in (folder / "documents.jsonl").read_bytes()


def test_a_folder_that_holds_something_is_left_alone(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(InputError, match="overwrite"):
        write_world(folder, WORLD.config)
    assert (folder / "manifest.json").read_bytes() == before


def _lines(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
