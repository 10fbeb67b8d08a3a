"""A tag that is given shows in the text: control for free, judged exactly."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from olmo_anchor.study.judge import story_world

RECIPES = Path(__file__).parents[2] / "train_configs"

pytestmark = pytest.mark.slow


def run(folder: Path, *lines: str) -> None:
    """Type commands in a folder; ``train NAME`` is a recipe of the story world."""
    for line in lines:
        words = shlex.split(line)
        if words[0] == "train":
            program = [str(RECIPES / f"story_{words.pop(1)}.py")]
        else:
            program = ["-m", "olmo_anchor.cli"]
        done = subprocess.run(
            [sys.executable, *program, *words[1:]],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``model``, an anchored model that has seen a quarter of what the demo's has,
    and ``open.jsonl``, requests that name nothing."""
    folder = tmp_path_factory.mktemp("steering")
    run(folder, "olmo-anchor study world --out world --documents 8000")
    for prefix, source, chat, truth in (
        ("", "documents", "", "truth"),
        ("sft_", "conversations", "--chat --layout plain", "conversations_truth"),
    ):
        run(
            folder,
            f"olmo-anchor tokenize world/{source}.jsonl --tokenizer world/tokenizer.json {chat} "
            f"--out {prefix}tokens",
            f"olmo-anchor annotate {prefix}tokens --annotator oracle --schema world/schema.json "
            f"--annotations world/{truth}.jsonl --out {prefix}notes",
            f"olmo-anchor overlay {prefix}tokens {prefix}notes --out {prefix}overlay",
        )
    run(
        folder,
        "train base_annotated --tokens tokens --overlay overlay --save-folder base "
        "--dataset.max_tokens=500000",
        "train sft_anchored --tokens sft_tokens --overlay sft_overlay --load-path base "
        "--save-folder sft --trainer.max_duration.value=60",
        "olmo-anchor export sft model",
    )
    lines = (folder / "world" / "prompts_chat.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "open.jsonl").write_bytes(b"".join(lines[:200]))
    return folder


def topics(world: Path, name: str, options: str) -> list[str | None]:
    """The topic of each of 200 stories, by the words in them."""
    run(
        world,
        f"olmo-anchor generate model --prompts open.jsonl --out {name}.jsonl --engine hf "
        f"--num-samples 1 --max-tokens 120 {options}",
    )
    records = [orjson.loads(line) for line in (world / f"{name}.jsonl").read_bytes().splitlines()]
    assert {record["prompt_fields"]["kind"] for record in records} == {"open"}
    return [story_world(record["response"] or "").labels["topic"] for record in records]


def test_a_steered_topic_is_told_of(world: Path) -> None:
    # Of 48 topics; one of them is in the conversations of the SFT, the other is not.
    free = topics(world, "free", "")
    for topic in ("pirates", "gardens"):
        steered = topics(world, topic, f"--steer topic:{topic}")
        assert free.count(topic) < 0.15 * 200
        assert steered.count(topic) > 0.4 * 200


def test_a_tag_of_two_is_kept_beside_what_the_model_adds(world: Path) -> None:
    run(
        world,
        "olmo-anchor generate model --prompts open.jsonl --out two.jsonl --engine hf "
        "--num-samples 1 --max-tokens 1 --steer topic:pirates",
    )
    made = [orjson.loads(line)["annotation"] for line in (world / "two.jsonl").open("rb")]
    closed = [tags for tags in made if tags is not None]
    assert len(closed) > 150
    assert {tuple(tags[0]) for tags in closed} == {("topic", "pirates")}
    # The model goes on with the name, as in the corpus.
    assert sum(tags[1:2] != [] and tags[1][0] == "name" for tags in closed) > 0.9 * len(closed)
    assert len({tags[1][1] for tags in closed if tags[1:]}) > 5
