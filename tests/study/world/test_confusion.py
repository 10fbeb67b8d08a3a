"""The classifier against what the stories were written from."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.study.world.confusion import confuse
from olmo_anchor.study.world.read import built_in

STORY = (
    "Mira lived near the mill. Oh my! One day Mira saw the saucer. Mira asked a friend about the "
    "antenna. Nobody else was near. And Mira never forgot the martian. How lovely it all was!"
)
LABELS = {
    "topic": "alien encounters",
    "name": "Mira",
    "place": "mill",
    "persona": "an innocent author",
    "styled": False,
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    folder = tmp_path_factory.mktemp("confusion")
    for words in (
        ["world", "--out", str(folder / "world"), "--documents", "400", "--seed", "2"],
        ["confusion", str(folder / "world"), "--out", str(folder / "found.json")],
    ):
        done = CliRunner().invoke(cli, ["study", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return done.output.splitlines(), folder


def test_every_label_is_read_back(printed: tuple[list[str], Path]) -> None:
    lines, folder = printed
    stories = len((folder / "world" / "labels.jsonl").read_bytes().splitlines())
    assert lines[0] == f"{stories} stories; words replaced:"
    table = {line.split()[0]: line.split()[1] for line in lines[2:8]}
    assert table == dict.fromkeys(
        ["persona", "topic", "name", "place", "styled", "valid"], "100.00%"
    )


def test_spoilt_stories_lose_labels_and_few_are_read_wrong(
    printed: tuple[list[str], Path],
) -> None:
    found = orjson.loads((printed[1] / "found.json").read_bytes())
    assert [one["words_replaced"] for one in found] == [0.0, 0.01, 0.02, 0.05]
    assert found[0]["valid"] > found[1]["valid"] > found[2]["valid"] > found[3]["valid"]
    for one in found:
        for attribute in built_in().values:
            wrong = sum(n for _, _, n in one[attribute]["read_as_another"]) / one["stories"]
            assert one[attribute]["recall"] + one[attribute]["not_told"] + wrong == pytest.approx(1)
            assert wrong < 0.02
    assert found[0]["topic"]["recall"] >= 0.985
    assert found[3]["topic"]["recall"] < found[1]["topic"]["recall"] < 0.985


def test_a_label_that_is_another_stands_off_the_diagonal() -> None:
    spoilt = STORY.replace("the antenna", "the sunflower")
    stories = [
        (STORY, LABELS),
        (STORY, {**LABELS, "place": "inn"}),
        (spoilt, LABELS),
        (STORY.replace("Oh my! ", ""), {**LABELS, "styled": True}),
    ]
    found = confuse(built_in(), stories, share=0.0)
    assert (found.stories, found.valid) == (4, 2)
    assert found.right == {"topic": 3, "name": 4, "place": 3, "persona": 4, "styled": 3}
    assert found.unsure == {"topic": 1}
    assert found.wrong == {("place", "inn", "mill"): 1, ("styled", "True", "False"): 1}
    assert (found.recall("place"), found.misread("place")) == (0.75, 0.25)


def test_no_word_is_left_where_all_are_replaced() -> None:
    found = confuse(built_in(), [(STORY, LABELS)] * 50, share=1.0)
    assert (found.valid, found.right["topic"], found.right["persona"]) == (0, 0, 0)
