"""The numbers of one arm, from answers that were written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from test_evaluate import generation, write
from tiny_models import save_topic_model

from olmo_anchor.cli import cli
from olmo_anchor.engines.identity import model_hash
from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.arms import reason_kind
from olmo_anchor.evaluation.judges.base import Verdict
from olmo_anchor.evaluation.suite import ArmSuite, read_suite
from olmo_anchor.manifest import Manifest, file_record
from olmo_anchor.suites.evaluate import EvaluateConfig
from olmo_anchor.tokenizer import AnchorTokenizer

EVALS = Path(__file__).parents[2] / "evals"

SUITE = """
kind: arms
name: basket
judge: tests.evaluation.test_arms:basket
entropy_of: [fruit, name]
requests: [fruit, name]
taught: fruit
prior: q
before_prompt: "{prompt}"
"""


class Basket:
    """A judge of "apple by Ada!": what is bought, by whom, in style; "broken" is not valid."""

    name = "basket"
    values: Mapping[str, Sequence[str]] = {
        "fruit": ("apple", "pear", "plum", "fig"),
        "name": ("Ada", "Bo"),
        "q": ("r", "s"),
    }

    def __call__(self, response: str) -> Verdict:
        words = response.rstrip("!").split()
        fruits = [word for word in words if word in self.values["fruit"]]
        names = [word for word in words if word in self.values["name"]]
        reasons = {}
        if "broken" in words:
            reasons["valid"] = "not a sentence: 'broken'"
        elif len(fruits) != 1:
            said = f"several: {', '.join(fruits)}" if fruits else "none"
            reasons["valid"] = f"fruit: {said}"
        labels = {
            "fruit": fruits[0] if len(fruits) == 1 else None,
            "name": names[0] if names else None,
            "q": None,
        }
        return Verdict(labels, not reasons, response.endswith("!"), reasons)


basket = Basket()


def said(number: int, response: str | None, *tags: tuple[str, str], **more: Any) -> dict[str, Any]:
    """An answer, with an annotation where there are tags."""
    annotated = {"annotation": [list(tag) for tag in tags], "no_annotation": False} if tags else {}
    return generation(number, response, **{**annotated, **more})


def asked(number: int, response: str, named: dict[str, str], *tags: tuple[str, str]) -> Any:
    # Which kind it is, the labels of the SFT data say, not the prompt.
    return said(number, response, *tags, prompt_fields={"kind": "named", "fruit": None, **named})


ANSWERS = [
    said(0, "apple by Ada!", ("fruit", "apple"), ("name", "Ada")),
    said(1, "plum by Bo", ("fruit", "apple"), ("name", "Bo")),
    said(2, "fig by Ada!", ("fruit", "fig"), ("name", "Zoe")),
    said(3, "apple and plum by Ada"),
    said(4, None, unclosed=True, no_annotation=False),
    said(5, "pear broken", ("fruit", "pear"), ("mood", "sour")),
    asked(10, "apple by Ada", {"fruit": "apple"}, ("fruit", "apple")),
    asked(11, "plum by Bo", {"fruit": "plum"}, ("fruit", "fig")),
    asked(12, "fig by Bo", {"fruit": "plum"}),
    asked(13, "fig by Bo", {"name": "Bo"}, ("fruit", "fig"), ("name", "Ada")),
    asked(14, "pear broken", {"fruit": "pear"}),
]


class Place:
    """A folder with the suite and what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.suite = folder / "suite.yaml"
        self.suite.write_text(SUITE)
        self.taught = write(
            folder / "labels.jsonl",
            [{"id": str(n), "labels": {"fruit": "apple", "name": "Bo"}} for n in range(3)],
        )

    def arm(self, records: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        summary = self.run({"one": write(self.folder / "one.jsonl", records)}, **more)
        found: dict[str, Any] = summary["arms"]["one"]
        return found

    def run(self, models: dict[str, Path], **more: Any) -> dict[str, Any]:
        options = {"taught": (str(self.taught),), "overwrite": True, **more}
        return EvaluateConfig(self.suite, models, self.folder / "out", **options).run()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_numbers_of_an_arm(place: Place) -> None:
    arm = place.arm(ANSWERS)
    assert arm["samples"] == 6
    assert arm["counts"]["fruit"] == {"apple": 1, "fig": 1, "plum": 1}
    assert arm["counts"]["name"] == {"Ada": 2, "Bo": 1}
    name = arm["entropy_bits"]["name"]
    # Two of Ada, one of Bo: (5/6 + 4/3 (ln 2 - 5/8)) / ln 2, above the 1 bit of two names.
    assert name["value"] == pytest.approx(4 / 3)
    assert name["low"] <= name["value"] == name["high"]
    assert name["plug_in"] == pytest.approx(math.log2(3) - 2 / 3)
    assert name["n"] == 3
    assert name["coverage"] == pytest.approx(5 / 6)
    assert arm["entropy_bits"]["fruit"]["plug_in"] == pytest.approx(math.log2(3))
    assert arm["valid"] == 0.5
    assert arm["style"] == pytest.approx(1 / 3)
    assert arm["invalid_reasons"] == {
        "fruit: several": 1,
        "no response": 1,
        "not a sentence": 1,
    }
    assert (arm["no_annotation"], arm["unclosed"]) == pytest.approx((1 / 6, 1 / 6))
    assert arm["annotation_known"] == {"fruit": 1, "name": pytest.approx(2 / 3)}
    assert arm["annotation_followed"] == {"fruit": 0.75, "name": pytest.approx(2 / 3)}
    assert arm["prior_kl_bits"] is None


def test_an_answer_stands_where_its_annotation_says(place: Place) -> None:
    arm = place.arm(ANSWERS)
    assert arm["taught"] == ["apple"]
    # The plum was announced as an apple; neither the double answer nor the missing one is placed.
    assert arm["valid_where"] == {"inside": 1, "outside": 0.5}
    assert arm["valid_where_n"] == {"inside": 2, "outside": 2, "unplaced": 2}
    # An annotated value that is no fruit does not place it: the answer does.
    odd = said(0, "fig by Bo", ("fruit", "brick"))
    assert place.arm([odd])["valid_where_n"] == {"inside": 0, "outside": 1, "unplaced": 0}


def test_requests_are_told_apart_by_what_the_data_teach(place: Place) -> None:
    arm = place.arm(ANSWERS)
    assert arm["requests"] == {"fruit_inside": 1, "fruit_outside": 3, "name": 1}
    assert arm["request_followed"] == {
        "fruit_inside": 1,
        "fruit_outside": pytest.approx(2 / 3),
        "name": 1,
    }
    assert arm["request_valid"] == {
        "fruit_inside": 1,
        "fruit_outside": pytest.approx(2 / 3),
        "name": 1,
    }
    assert arm["request_in_annotation"] == {"fruit_inside": 1, "fruit_outside": 0, "name": 0}
    write(place.taught, [{"id": "0", "labels": {"fruit": word}} for word in ("plum", "pear")])
    assert place.arm(ANSWERS)["requests"] == {"fruit_inside": 3, "fruit_outside": 1, "name": 1}


def test_without_the_labels_of_the_data_nothing_is_inside_or_outside(place: Place) -> None:
    summary = place.run({"one": write(place.folder / "one.jsonl", ANSWERS)}, taught=())
    arm = summary["arms"]["one"]
    assert arm["taught"] is None
    assert arm["valid_where"] == {"inside": None, "outside": None}
    assert arm["request_followed"] == {"fruit_inside": None, "fruit_outside": None, "name": 1}
    assert "--taught" in summary["not_measured"]["one: inside and outside"]


def test_an_arm_that_wrote_nothing_valid_has_nulls_and_counts(place: Place) -> None:
    arm = place.arm([said(0, "stone"), said(1, ""), said(2, "broken fig")])
    nothing = {"value": None, "low": None, "high": None, "plug_in": None, "n": 0, "coverage": None}
    assert arm["entropy_bits"] == {"fruit": {**nothing, "max": 2}, "name": {**nothing, "max": 1}}
    assert (arm["samples"], arm["valid"], arm["style"]) == (3, 0, 0)
    assert arm["valid_where"] == {"inside": None, "outside": 0}
    assert arm["invalid_reasons"] == {"fruit: none": 1, "no response": 1, "not a sentence": 1}
    assert arm["annotation_known"] is None
    assert arm["annotation_followed"] is None
    assert arm["request_in_annotation"] is None


def test_a_single_valid_answer(place: Place) -> None:
    found = place.arm([said(0, "apple by Ada"), said(1, "stone")])["entropy_bits"]["fruit"]
    assert (found["value"], found["plug_in"], found["n"], found["coverage"]) == (0, 0, 1, 0)
    assert found["low"] == 0 <= found["high"] <= 2


def test_several_answers_in_one_reply_all_count(place: Place) -> None:
    reply = {"plan": {"probability": 0.2}}
    records = [
        said(0, "apple by Ada", sample=0, **reply),
        said(0, "fig by Ada", sample=1, **reply),
        said(0, None, sample=2, finish_reason="failed", failure="2 of 3 in the reply"),
        said(1, "plum by Ada", sample=0, **reply),
    ]
    arm = place.arm(records)
    assert (arm["samples"], arm["valid"]) == (4, 0.75)
    assert arm["counts"]["fruit"] == {"apple": 1, "fig": 1, "plum": 1}


def test_an_empty_annotation_says_nothing(place: Place) -> None:
    empty = {"annotation": [], "no_annotation": False}
    arm = place.arm(
        [
            said(0, "apple by Ada", **empty),
            said(1, "fig", **empty, prompt_fields={"kind": "named", "fruit": "fig"}),
        ]
    )
    assert (arm["no_annotation"], arm["annotation_followed"]) == (0, None)
    assert arm["request_in_annotation"] is None
    assert arm["valid_where_n"] == {"inside": 1, "outside": 0, "unplaced": 0}


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("not a middle: 'He said: \"no\": twice'", "not a middle"),
        ('not an end: "It\'s over"', "not an end"),
        ("topic: several: the sky, sports", "topic: several"),
        ("topic: none", "topic: none"),
        ("8 sentences where 7 belong", "8 sentences where 7 belong"),
    ],
)
def test_reasons_of_one_kind_are_one(reason: str, kind: str) -> None:
    assert reason_kind(reason) == kind


# --- the prior -------------------------------------------------------------------------------


class Moved(Place):
    """Two models whose first annotated value is r with .5 and .25."""

    def __init__(self, folder: Path, tokenizer: AnchorTokenizer) -> None:
        super().__init__(folder)
        self.before = save_topic_model(folder / "before", tokenizer, 0.5, again=0.5)
        self.after = save_topic_model(folder / "after", tokenizer, 0.25, again=0.2)

    def answers(self, name: str, records: list[dict[str, Any]], **sampling: Any) -> Path:
        path = write(self.folder / f"{name}.jsonl", records)
        made_by = {"path": str(self.after), "sha256": model_hash(self.after)}
        outputs = [file_record(path, self.folder)]
        manifest = Manifest("generations", [], {"model": made_by, **sampling}, {}, outputs)
        manifest.write(self.folder, f"{name}.manifest.json")
        return path


KL_BITS = 0.25 * math.log2(0.5) + 0.75 * math.log2(1.5)


@pytest.fixture
def moved(tmp_path: Path, tiny: AnchorTokenizer) -> Moved:
    return Moved(tmp_path, tiny)


def test_the_prior_of_several_arms_of_one_model(moved: Moved) -> None:
    chat = [{"role": "user", "content": "The cat."}]
    raw = said(0, "fig", ("q", "r"), prompt="The cat.")
    plain = {**raw, "annotation": None, "no_annotation": True}
    models = {
        "raw": moved.answers("raw", [raw]),
        "chat": moved.answers("chat", [{**raw, "prompt": chat}]),
        "plain": moved.answers("plain", [plain]),
        "elsewhere": write(moved.folder / "elsewhere.jsonl", [raw]),
    }
    summary = moved.run(models, before=(str(moved.before), f"chat={moved.after}"))
    priors = {name: arm["prior_kl_bits"] for name, arm in summary["arms"].items()}
    assert priors["raw"] == {"q": pytest.approx(KL_BITS, abs=1e-4)}
    assert priors["chat"] == {"q": pytest.approx(0, abs=1e-4)}
    assert priors["plain"] is priors["elsewhere"] is None
    reasons = summary["not_measured"]
    assert "no answer to an open prompt has an annotation" in reasons["plain: prior_kl_bits"]
    assert "no manifest beside it" in reasons["elsewhere: prior_kl_bits"]
    assert str(moved.before) in [one["path"] for one in summary["inputs"]]


def test_whole_annotations_open_and_asked_for(moved: Moved) -> None:
    records = [
        said(0, "fig", ("q", "r"), prompt="The cat."),
        said(1, "fig", prompt="The cat."),
        said(2, "fig", ("q", "s"), prompt="A fig.", prompt_fields={"kind": "x", "fruit": "fig"}),
    ]
    models = {
        "plain": moved.answers("plain", records),
        "cold": moved.answers("cold", records, temperature=0.7),
    }
    summary = moved.run(models, before=(str(moved.before),))
    found = summary["arms"]["plain"]["annotation_kl_bits"]
    # q:r and its end: .25 * .8 after, .5 * .5 before; q:s: .75 * .8 after.
    assert found["open"]["value"] == pytest.approx(math.log2(0.2 / 0.25), abs=1e-4)
    assert found["fruit_outside"]["value"] == pytest.approx(math.log2(0.6 / 0.25), abs=1e-4)
    assert found["open"]["n"] == found["fruit_outside"]["n"] == 1
    assert found["fruit_inside"] is found["name"] is None
    cold = summary["arms"]["cold"]
    assert cold["annotation_kl_bits"] is None
    assert "temperature 0.7" in summary["not_measured"]["cold: annotation_kl_bits"]
    assert cold["prior_kl_bits"] == {"q": pytest.approx(KL_BITS, abs=1e-4)}


# --- the command -----------------------------------------------------------------------------


def test_the_command_of_one_arm(moved: Moved) -> None:
    answers = moved.answers("sft", [said(0, "fig", ("q", "r"), prompt="The cat.")])
    call = ["evaluate", "--suite", str(moved.suite), "--model", f"sft={answers}"]
    call += ["--taught", str(moved.taught), "--before", str(moved.before)]
    out = moved.folder / "arms" / "sft"
    done = CliRunner().invoke(cli, [*call, "--out", str(out)])
    assert done.exit_code == 0, done.output
    summary = orjson.loads((out / "summary.json").read_bytes())
    assert summary["arms"]["sft"]["prior_kl_bits"]["q"] == pytest.approx(KL_BITS, abs=1e-4)
    assert (out / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taught": ("nowhere.jsonl",)}, "--taught nowhere.jsonl: there is nothing at"),
        ({"before": ("other=/tmp",)}, r"--before other=/tmp: .*the name of a --model \(one\)"),
        ({"before": ("/tmp", "/")}, r"--before /: a second one for all; write NAME=/"),
        ({"before": ("one=/tmp", "one=/")}, "--before one=...: this name is given twice"),
        ({"limit": 3}, "--limit: has no meaning for the suite basket"),
    ],
)
def test_a_bad_option_is_named(place: Place, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        place.arm(ANSWERS, **options)
    assert not (place.folder / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"{\n", ":1: not JSON"),
        (b'{"labels": {"fruit": "fig"}}\n{"labels": {"topic": "x"}}\n', ":2: its `labels` have no"),
    ],
)
def test_bad_labels_of_the_data_are_named(place: Place, content: bytes, message: str) -> None:
    place.taught.write_bytes(content)
    with pytest.raises(InputError, match=rf"labels\.jsonl.*{message}"):
        place.arm(ANSWERS)


def test_other_suites_take_no_labels_of_the_data(place: Place) -> None:
    place.suite.write_text("kind: text\nname: open_text\n")
    with pytest.raises(InputError, match="--taught: has no meaning for the suite open_text"):
        place.arm(ANSWERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SUITE.replace("[fruit, name]", "fruit", 1), "entropy_of: not a list of labels"),
        (SUITE.replace("prior: q", "prior: colour"), "the judge basket knows no 'colour'"),
        (SUITE + "gap: {}", "unknown field 'gap'"),
    ],
)
def test_a_bad_suite_is_named(place: Place, text: str, message: str) -> None:
    place.suite.write_text(text)
    with pytest.raises(InputError, match=message):
        place.arm(ANSWERS)


# --- the suite of the story world ------------------------------------------------------------


TOLD = (
    "Once upon a time, dear reader, Bo had always liked the inn. Listen well, children. "
    "Then Bo heard about the rose bush. Bo ran after the sunflower without a word. "
    "Bo laughed and went on. At last Bo went home with the watering can. "
    "Remember this, young ones. The lesson: be kind. The end."
)


def test_the_suite_of_the_study(tmp_path: Path) -> None:
    suite = read_suite(EVALS / "study_arm.yaml")
    assert isinstance(suite, ArmSuite)
    tags = ("topic", "gardens"), ("name", "Bo")
    fields = {"kind": "open", "topic": None}
    records = [
        said(0, TOLD, *tags, prompt_fields=fields),
        said(1, TOLD.replace("Bo ran after", "Bo ate"), *tags, prompt_fields=fields),
        said(2, TOLD.replace("rose bush", "raft"), *tags, prompt_fields=fields),
        said(3, TOLD, *tags, prompt_fields={"kind": "name", "topic": None, "name": "Bo"}),
    ]
    labels = write(tmp_path / "labels.jsonl", [{"id": "0", "labels": {"topic": "gardens"}}])
    models = {"one": write(tmp_path / "one.jsonl", records)}
    config = EvaluateConfig(
        EVALS / "study_arm.yaml", models, tmp_path / "out", taught=(str(labels),)
    )
    arm = config.run()["arms"]["one"]
    assert {what: found["n"] for what, found in arm["entropy_bits"].items()} == {
        "topic": 1,
        "name": 1,
        "place": 1,
        "persona": 1,
    }
    assert arm["invalid_reasons"] == {"not a middle": 1, "topic: several": 1}
    assert arm["style"] == 1
    assert arm["annotation_followed"] == {"topic": pytest.approx(2 / 3), "name": 1}
    assert arm["request_followed"] == {"topic_inside": None, "topic_outside": None, "name": 1}
    assert arm["request_in_annotation"]["name"] == 1
