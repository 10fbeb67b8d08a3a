"""From generations files to a summary, by the command that a user types."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.evaluation.generations import read_generations
from olmo_anchor.evaluation.judges.base import Verdict
from olmo_anchor.evaluation.judges.callables import load_callable
from olmo_anchor.evaluation.prior import kl_bits, value_log_probabilities
from olmo_anchor.evaluation.suite import read_suite
from olmo_anchor.manifest import Manifest, file_record
from olmo_anchor.study.world.read import built_in
from olmo_anchor.study.world.tokenizer import build_tokenizer
from olmo_anchor.suites.evaluate import EvaluateConfig, parse_models
from olmo_anchor.tokenizer import AnchorTokenizer

SUITE = """
name: fruit
judge: tests.evaluation.test_evaluate:fruit
entropy_of: fruit
open_kind: open
named_kinds: [inside, outside]
gap: {base: base, sft: plain, anchored: anchored, base_variant: noted}
"""


class Fruit:
    """A judge: the first word is the fruit, an exclamation mark is the style."""

    name = "fruit"

    def __init__(self) -> None:
        self.values = {"fruit": ("apple", "pear", "plum", "fig")}

    def __call__(self, response: str) -> Verdict:
        word = response.split(" ")[0].rstrip("!")
        known = word in self.values["fruit"]
        return Verdict({"fruit": word if known else None}, known, response.endswith("!"))


fruit = Fruit()


def generation(number: int, response: str | None, **more: Any) -> dict[str, Any]:
    return {
        "prompt_id": f"p{number}",
        "prompt": "Name a fruit.",
        "sample": 0,
        "seed": number,
        "response": response,
        "annotation": None,
        "annotation_text": None,
        "no_annotation": True,
        "unclosed": False,
        "finish_reason": "stop",
        "prompt_fields": {"kind": "open"},
        **more,
    }


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(r, option=orjson.OPT_APPEND_NEWLINE) for r in records))
    return path


def many(path: Path, *words: str, times: int = 50) -> Path:
    return write(path, [generation(i, words[i % len(words)]) for i in range(times * len(words))])


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    return path


def test_the_numbers_of_one_model(tmp_path: Path, suite: Path) -> None:
    named = {"kind": "inside", "fruit": "plum"}
    tags = [["fruit", "apple"], ["mood", "sour"]]
    records = [
        generation(0, "apple!", annotation=tags, no_annotation=False),
        generation(1, "pear tart", annotation=tags, no_annotation=False),
        generation(2, "apple pie"),
        generation(3, "stone!"),
        generation(4, None, unclosed=True, no_annotation=False),
        generation(5, "plum", prompt_fields=named),
        generation(6, "fig", prompt_fields=named),
    ]
    path = write(tmp_path / "one.jsonl", records)
    out = tmp_path / "out"
    summary = EvaluateConfig(suite, {"one": path}, out).run()
    arm = summary["arms"]["one"]
    entropy = arm["fruit_entropy_bits"]
    # apple, apple, pear: the valid answers to open requests
    assert entropy["n"] == 3
    assert entropy["value"] == pytest.approx(math.log2(3) - 2 / 3)
    assert entropy["low"] <= entropy["value"] <= entropy["high"]
    # One of three labels stands once: 1 - 1/3 (2 / (2 + 2)) are seen.
    assert entropy["coverage"] == pytest.approx(5 / 6)
    assert "sample coverage 0.83" in entropy["coverage_warning"]
    better = entropy["chao_wang_jost"]
    assert entropy["value"] < better["value"] <= better["high"] <= 2
    assert arm["fruit_counts"] == {"apple": 2, "pear": 1}
    assert (arm["valid"], arm["style"]) == (0.6, 0.4)
    assert arm["annotation_followed"] == 0.5
    assert arm["no_annotation"] == 0.4
    assert arm["unclosed"] == 0.2
    assert arm["request_followed"] == {"inside": 0.5, "outside": None}
    assert summary["max_entropy_bits"] == 2
    assert summary["gap_closed"] is None
    assert orjson.loads((out / "summary.json").read_bytes()) == orjson.loads(orjson.dumps(summary))
    scores = [orjson.loads(line) for line in (out / "scores.jsonl").read_bytes().splitlines()]
    assert [score["labels"]["fruit"] for score in scores[:3]] == ["apple", "pear", "apple"]
    assert [score["followed"] for score in scores[:3]] == [True, False, None]


def test_a_request_that_names_nothing_is_not_followed_by_an_answer_without_a_label(
    tmp_path: Path, suite: Path
) -> None:
    inside = [{"kind": "inside", "fruit": "plum"}, {"kind": "inside"}, {"kind": "inside"}]
    records = [
        generation(number, response, prompt_fields=fields)
        for number, (response, fields) in enumerate(
            zip(("plum", "stone", "fig"), inside, strict=True)
        )
    ]
    path = write(tmp_path / "one.jsonl", records)
    arm = EvaluateConfig(suite, {"one": path}, tmp_path / "out").run()["arms"]["one"]
    assert arm["request_followed"]["inside"] == pytest.approx(1 / 3)


def test_prompts_of_other_kinds_that_the_suite_knows_are_passed_over(
    tmp_path: Path, suite: Path
) -> None:
    suite.write_text(suite.read_text() + "\nother_kinds: [opened]\n")
    fields = [{"kind": "open"}, {"kind": "opened"}, {}]
    records = [generation(n, "fig", prompt_fields=one) for n, one in enumerate(fields)]
    path = write(tmp_path / "some.jsonl", records)
    summary = EvaluateConfig(suite, {"one": path}, tmp_path / "out").run()
    assert summary["arms"]["one"]["samples"] == 1
    assert summary["not_measured"]["one"] == "1 responses to prompts of other kinds: none"


def test_prompts_of_kinds_that_the_suite_does_not_know_are_told(
    tmp_path: Path, suite: Path
) -> None:
    fields = [{"kind": "open"}, {"kind": "opened"}, {"kind": "opened"}, {}]
    records = [generation(n, "fig", prompt_fields=one) for n, one in enumerate(fields)]
    some, none = (
        write(tmp_path / "some.jsonl", records),
        write(tmp_path / "none.jsonl", records[1:]),
    )
    summary = EvaluateConfig(suite, {"one": some}, tmp_path / "out").run()
    assert summary["arms"]["one"]["samples"] == 1
    assert summary["not_measured"]["one"] == "3 responses to prompts of other kinds: none, opened"
    with pytest.raises(InputError, match=r"none\.jsonl: .* kind 'opened', the suite has open, ins"):
        EvaluateConfig(suite, {"one": none}, tmp_path / "again").run()


class Strict(Fruit):
    """Fails on an empty answer, and forgets the label of a fig."""

    name = "strict"

    def __call__(self, response: str) -> Verdict:
        return Verdict({}, True, True) if response == "fig" else super().__call__(response[0])


strict = Strict()


@pytest.mark.parametrize("response", ["fig", None])
def test_a_judge_that_fails_names_the_sample(tmp_path: Path, response: str | None) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE.replace("test_evaluate:fruit", "test_evaluate:strict"))
    path = write(tmp_path / "a.jsonl", [generation(0, "pear"), generation(7, response)])
    with pytest.raises(
        WorkFailed, match=r"a\.jsonl: the judge strict failed on sample 0 of prompt 'p7'"
    ):
        EvaluateConfig(suite, {"a": path}, tmp_path / "out").run()


def test_the_gap_between_models(tmp_path: Path, suite: Path) -> None:
    models = {
        "base": many(tmp_path / "base.jsonl", "apple", "pear", "plum", "fig"),
        "plain": many(tmp_path / "plain.jsonl", "apple"),
        "anchored": many(tmp_path / "anchored.jsonl", "apple", "pear"),
    }
    summary = EvaluateConfig(suite, models, tmp_path / "out").run()
    assert summary["gap_closed"]["value"] == pytest.approx(0.5)
    assert summary["gap_closed_from_noted"] is None
    assert summary["prior_kl_bits"] is None
    assert summary["not_measured"] == {"gap_closed_from_noted": "no --model is named noted"}
    assert [one["path"] for one in summary["inputs"]][1:] == [str(p) for p in models.values()]


def test_equal_inputs_give_equal_summaries(tmp_path: Path, suite: Path) -> None:
    path = many(tmp_path / "a.jsonl", "apple", "pear", "fig")
    summaries = [EvaluateConfig(suite, {"a": path}, tmp_path / name).run() for name in "xy"]
    for summary in summaries:
        del summary["created"]
    assert summaries[0] == summaries[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"{", ":1: not JSON"),
        (b'{"prompt_id": 1}\n', ":1: not a generation: it has no 'prompt'"),
    ],
)
def test_a_bad_generations_file_is_named(
    tmp_path: Path, suite: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        EvaluateConfig(suite, {"bad": path}, tmp_path / "out").run()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"sample": None}, "`sample` is not a number"),
        ({"response": 3}, "`response` is neither text nor null"),
        ({"annotation": ["fruit:apple"]}, "`annotation` is not a list of pairs"),
        ({"prompt_fields": ["open"]}, "`prompt_fields` is not an object"),
        ({"finish_reason": 0}, "`finish_reason` is not text"),
    ],
)
def test_a_field_of_another_kind_is_named_with_its_line(
    tmp_path: Path, suite: Path, line: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "bad.jsonl", [generation(0, "fig"), {**generation(1, "fig"), **line}])
    with pytest.raises(InputError, match=f"bad.jsonl:2: not a generation: {message}"):
        EvaluateConfig(suite, {"bad": path}, tmp_path / "out").run()


TEXT_SUITE = "kind: text\nname: open_text\n"


@pytest.fixture(params=["labels", "text"])
def any_suite(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_text({"labels": SUITE, "text": TEXT_SUITE}[request.param])
    return path


def test_the_same_sample_twice_is_refused(tmp_path: Path, any_suite: Path) -> None:
    twice = [generation(0, "apple", sample=n) for n in (0, 1, 2, 1, 0)]
    path = write(tmp_path / "twice.jsonl", [*twice, generation(1, "apple")])
    with pytest.raises(InputError) as caught:
        EvaluateConfig(any_suite, {"a": path}, tmp_path / "out").run()
    assert "twice.jsonl:4: sample 1 of prompt 'p0' stood in line 2" in str(caught.value)
    assert "2 of 6 lines" in str(caught.value)


def test_an_unfinished_file_is_refused(tmp_path: Path, any_suite: Path) -> None:
    path = many(tmp_path / "a.jsonl", "apple")
    (tmp_path / "a.running.json").write_text("{}")
    with pytest.raises(InputError, match=r"a\.jsonl: unfinished; .*--resume"):
        EvaluateConfig(any_suite, {"a": path}, tmp_path / "out").run()
    assert not (tmp_path / "out").exists()


def finish(path: Path, model: Path | None = None) -> None:
    """Put the manifest beside a generations file that generate would."""
    Manifest(
        kind="generations",
        inputs=[],
        config={"model": {"path": str(model), "sha256": "0"}},
        counts={},
        outputs=[file_record(path, path.parent)],
    ).write(path.parent, f"{path.stem}.manifest.json")


def test_a_file_that_is_not_what_its_manifest_says_is_refused(
    tmp_path: Path, any_suite: Path
) -> None:
    path = many(tmp_path / "a.jsonl", "apple", "fig")
    finish(path)
    (tmp_path / "a.running.json").write_text("{}")  # left by a run that was killed at its end
    assert len(list(read_generations(path))) == 100
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:60]))
    with pytest.raises(InputError, match=r"a\.jsonl: .*a\.manifest\.json"):
        EvaluateConfig(any_suite, {"a": path}, tmp_path / "out").run()


def test_what_a_model_is_stands_in_the_summary(tmp_path: Path, suite: Path) -> None:
    one, two = (write(tmp_path / f"{n}.jsonl", [generation(0, "apple")]) for n in ("one", "two"))
    said = ["--about", "one:size=6e8", "--about", "stage=SFT"]
    models = ["--model", f"one={one}", "--model", f"two={two}"]
    call = ["evaluate", "--suite", str(suite), *models, "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(cli, [*call, *said]).exit_code == 0
    arms = orjson.loads((tmp_path / "out" / "summary.json").read_bytes())["arms"]
    assert arms["one"]["about"] == {"stage": "SFT", "size": 6e8}
    assert arms["two"]["about"] == {"stage": "SFT"}


def test_the_command_says_what_is_wrong(tmp_path: Path, suite: Path) -> None:
    path = many(tmp_path / "a.jsonl", "apple")
    call = ["evaluate", "--suite", str(suite), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, [*call, "--model", f"a={path}"])
    assert done.exit_code == 0, done.output
    assert "not measured: gap_closed: no --model is named base\n" in done.output
    again = CliRunner().invoke(cli, [*call, "--model", f"a={path}"])
    assert isinstance(again.exception, InputError)
    # Said before hours of judging or embedding, not after.
    again = CliRunner().invoke(cli, [*call, "--model", f"a={tmp_path / 'none.jsonl'}"])
    assert "--overwrite replaces it" in str(again.exception)
    for wrong in ("nothing", "=x", "a="):
        with pytest.raises(InputError, match="write NAME="):
            parse_models((wrong,))
    with pytest.raises(InputError, match="twice"):
        parse_models(("a=x", "a=y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "not a mapping"),
        ("{", "not a YAML file"),
        (SUITE + "colour: red", "unknown field 'colour'"),
        ("name: x", "missing"),
        (SUITE.replace("sft: plain, ", ""), "gap: missing"),
    ],
)
def test_a_bad_suite_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_suite(path)


def test_a_judge_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be imported"):
        load_callable("olmo_anchor.study.judge:nobody")
    with pytest.raises(InputError, match=r"cannot be imported.*PYTHONPATH"):
        load_callable("no.such.module:judge")


def test_the_suite_of_the_demo_is_whole() -> None:
    suite = read_suite(Path(__file__).parents[2] / "evals" / "story_world.yaml")
    judge = load_callable(suite.judge)
    assert suite.entropy_of in judge.values
    assert suite.prior is not None
    assert suite.prior.key in judge.values


def test_kl_by_hand() -> None:
    before, after = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    expected = 0.25 * math.log2(0.5) + 0.75 * math.log2(1.5)
    assert kl_bits(after, before) == pytest.approx(expected)
    assert kl_bits(before, before) == 0


class Scorer:
    """Prefers continuations whose first id is large; a model of a kind."""

    max_length = 128

    def __init__(self) -> None:
        self.seen: list[tuple[list[int], list[int]]] = []

    def score(self, prompts: list[list[int]], continuations: list[list[int]]) -> list[float]:
        self.seen += zip(prompts, continuations, strict=True)
        return [float(ids[0]) / 100 for ids in continuations]


def test_the_prior_is_scored_where_the_annotation_begins() -> None:
    tokenizer = AnchorTokenizer(build_tokenizer(built_in()).to_str().encode(), "words")
    control = tokenizer.control
    engine = Scorer()
    messages = [{"role": "user", "content": "Write a story."}]
    prompts = {"raw": "Write a story.\n\n", "chat": messages}
    logs = value_log_probabilities(engine, tokenizer, prompts, "topic", ["pirates", "the sky"])  # type: ignore[arg-type]
    assert logs.shape == (2, 2)
    assert np.exp(logs).sum(axis=1) == pytest.approx(1)
    contexts = [context for context, _ in engine.seen]
    head = [control.open, *tokenizer.encode("topic"), control.colon]
    assert contexts[0] == [*tokenizer.encode("Write a story.\n\n"), *head]
    assert contexts[-1] == [
        *(tokenizer.special("<|im_start|>"), *tokenizer.encode("user\nWrite a story.")),
        *(tokenizer.special("<|im_end|>"), control.newline),
        *(tokenizer.special("<|im_start|>"), *tokenizer.encode("assistant\n"), *head),
    ]
    ends = [continuation[-1] for _, continuation in engine.seen]
    assert set(ends) == {control.newline, control.close}
