"""The annotator on a real server: prompts, answers of every kind, and the command."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from chat_server import ChatServer, Raw

from olmo_anchor.annotate.base import Chunk, Outcome, Refused
from olmo_anchor.annotate.job import AnnotateConfig, open_tokens
from olmo_anchor.annotate.llm import LLMAnnotator, read_answer, shorten
from olmo_anchor.annotate.llm_config import LLMConfig
from olmo_anchor.annotate.prompts import Prompt
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.annotation import Annotation, Schema
from olmo_anchor.errors import InputError, WorkFailed
from tests.annotate.conftest import records

pytest.importorskip("openai", reason="the extra `annotate` is not installed")

SCHEMA = Schema(keys=("topic", "entity"), max_tags=3, max_value_chars=20)


def tags(*pairs: tuple[str, str]) -> Annotation:
    return Annotation.of(*pairs)


def chunk(text: str, number: int = 0, before: str = "") -> Chunk:
    return Chunk(0, 0, "doc", number, text, "", before=before)


def asked(body: dict[str, Any]) -> str:
    """The passage that a prompt ends with."""
    content: str = body["messages"][-1]["content"]
    return content.rsplit("<passage>\n", 1)[1].removesuffix("\n</passage>")


def topic_of(body: dict[str, Any]) -> str:
    return f"topic:{asked(body).split()[0][:20]}"


def annotator(server: ChatServer, **options: Any) -> LLMAnnotator:
    engine = LLMConfig(model="m", url=(server.url,), timeout=10, give_up=10)._engine("openai")
    return LLMAnnotator("openai", engine, SCHEMA, Prompt("chunk", SCHEMA), **options)


@pytest.mark.parametrize(
    ("text", "outcome", "dropped"),
    [
        ("topic:sea", tags(("topic", "sea")), 0),
        ("none", None, 0),
        (" None.\n", None, 0),
        ("<think>\ntopic:no\n</think>\n\ntopic:sea", tags(("topic", "sea")), 0),
        ("- Topic: sea\n* entity: A: b", tags(("topic", "sea"), ("entity", "A: b")), 0),
        ("Here you are:\ntopic:sea\ntopic:sea\nplace:x", tags(("topic", "sea")), 3),
        ("```\ntopic:sea\n```", tags(("topic", "sea")), 2),
        ("topic:1\ntopic:2\ntopic:3\ntopic:4", tags(*[("topic", k) for k in "123"]), 1),
        ("", Refused("the model's answer has no tag of the schema: it is empty"), 0),
        (
            "The sea.",
            Refused("the model's answer has no tag of the schema: there is no ':' in the line"),
            0,
        ),
    ],
)
def test_an_answer_is_read_as_well_as_can_be(text: str, outcome: Outcome, dropped: int) -> None:
    assert read_answer(text, SCHEMA) == (outcome, dropped)


def test_of_an_answer_that_was_cut_off_the_whole_lines_count() -> None:
    found, _ = read_answer("topic:sea\nentity:Anne Bon", SCHEMA, cut_off=True)
    assert found == tags(("topic", "sea"))
    found, _ = read_answer("topic:se", SCHEMA, cut_off=True)
    assert found == Refused("the model's answer was cut off before a tag was whole")


@pytest.mark.parametrize("size", [1, 2, 7, 10, 11, 40])
def test_a_long_text_loses_its_middle(size: int) -> None:
    text = "0123456789"
    head, mark, tail = shorten(text, size).partition("\n[...]\n")
    assert (head + tail == text) is not bool(mark)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head + tail) == min(size, 10)


def test_batches_come_out_in_order_whatever_the_order_of_the_answers() -> None:
    late: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        # The first passage is answered only when all others are.
        if asked(body) == "first":
            while len(late) < 39:
                pass
        late.append(asked(body))
        return topic_of(body)

    texts = ["first", *(f"t{k} x" for k in range(39))]
    chunks = [chunk(text, k) for k, text in enumerate(texts)]
    batches = [chunks[k : k + 4] for k in range(0, 40, 4)]
    with ChatServer(answer) as server:
        done = list(annotator(server).stream(batches))
    assert [one.chunks for one in done] == batches
    expected = [tags(("topic", text.split()[0])) for text in texts]
    assert [outcome for one in done for outcome in one.outcomes] == expected


def test_an_answer_that_cannot_be_used_is_asked_for_again_and_then_refused() -> None:
    seen: Counter[str] = Counter()

    def answer(body: dict[str, Any]) -> str:
        text = asked(body)
        seen[text] += 1
        if text == "second":
            return "sorry" if seen[text] == 1 else "topic:sea"
        return "sorry" if text == "never" else "none"

    with ChatServer(answer) as server:
        model = annotator(server, max_tries=3)
        chunks = [chunk("second"), chunk("never", 1), chunk("nothing", 2)]
        [done] = model.stream([chunks])
    outcomes, counts = done.outcomes, done.counts
    assert done.attempts == [2, 3, 1]
    assert outcomes[0] == tags(("topic", "sea"))
    assert outcomes[1] == Refused(
        "the model's answer has no tag of the schema: there is no ':' in the line"
    )
    assert outcomes[2] is None
    assert seen == {"second": 2, "never": 3, "nothing": 1}
    assert counts["asked_again"] == 3
    assert (counts["prompt_tokens"], counts["completion_tokens"]) == (42, 18)
    by_text = [[b for b in server.calls if asked(b) == text] for text in ("never", "second")]
    for first, *others in by_text:
        assert (first["temperature"], first.get("seed")) == (0.0, None)
        assert all(other["temperature"] > 0 for other in others)
        assert len({other["seed"] for other in others}) == len(others)


def test_the_server_is_told_what_an_answer_looks_like() -> None:
    with ChatServer(topic_of) as server:
        annotator(server).annotate([chunk("sea")])
    assert server.calls[0]["structured_outputs"]["regex"] == f"(none|{SCHEMA.regex()})"


def test_a_chunk_that_is_too_long_is_cut_until_it_fits() -> None:
    def answer(body: dict[str, Any]) -> str | Raw:
        if len(asked(body)) > 700:
            message = "This model's maximum context length is 700 letters."
            return Raw(400, {"error": {"message": message}})
        return "topic:sea"

    with ChatServer(answer) as server:
        model = annotator(server, max_chunk_chars=4000)
        long, longer = "a" * 1000, "b" * 9000
        [done] = model.stream([[chunk(long), chunk(longer, 1)]])
        assert done.outcomes == [tags(("topic", "sea"))] * 2
        assert (done.counts["shortened"], done.counts["asked_again"]) == (2, 0)
        assert asked(server.calls[-1]).count("\n[...]\n") == 1
        server.answer = lambda body: Raw(400, {"error": {"message": "prompt is too long"}})
        [refused] = model.annotate([chunk(long)])
        assert isinstance(refused, Refused)
        assert "too long" in refused.reason


def test_a_fault_of_one_chunk_is_its_outcome() -> None:
    def answer(body: dict[str, Any]) -> str | Raw:
        bad = Raw(400, {"error": {"message": "not this one"}})
        return bad if asked(body) == "bad" else "topic:sea"

    with ChatServer(answer) as server:
        bad, good = annotator(server).annotate([chunk("bad"), chunk("good", 1)])
    assert isinstance(bad, Refused)
    assert "not this one" in bad.reason
    assert good == tags(("topic", "sea"))


# --- the command ----------------------------------------------------------------------------------

TEXTS = [f"Captain{k} met Anne Bonny at the harbour.\n\nStorm{k} came." for k in range(12)]


def command(tokens: Path, out: Path, *options: str, **env: str) -> Any:
    line = [sys.executable, "-m", "olmo_anchor.cli", "annotate", str(tokens), "--out", str(out)]
    return subprocess.run(
        [*line, *options], capture_output=True, text=True, env={**os.environ, **env}
    )


def config(tokens: Path, out: Path, server: ChatServer, **llm: Any) -> AnnotateConfig:
    own = LLMConfig(**{"model": "m", "url": (server.url,), "give_up": 5.0, **llm})
    annotator = AnnotatorConfig(name="openai", llm=own, chat=open_tokens(tokens).chat)
    return AnnotateConfig(tokens=tokens, annotator=annotator, out=out)


def test_the_command_annotates_with_the_users_schema_and_keeps_no_key(
    tokenize: Any, tmp_path: Path
) -> None:
    schema = tmp_path / "sea.yaml"
    schema.write_text("keys: {topic: what sails}\ninstructions: Mind the tide.\n")

    def answer(body: dict[str, Any]) -> str | Raw:
        bad = Raw(400, {"error": {"message": "key sk-hidden may not ask this"}})
        return bad if asked(body).startswith("Storm3") else topic_of(body)

    out = tmp_path / "out"
    with ChatServer(answer) as server, ChatServer(answer) as second:
        options = ["--annotator", "openai", "--model", "m", "--schema", str(schema)]
        options += ["--url", server.url, "--url", second.url, "--concurrency", "3"]
        done = command(tokenize(TEXTS), out, *options, OPENAI_API_KEY="sk-hidden")
        assert done.returncode == 0, done.stderr
        assert server.keys | second.keys == {"Bearer sk-hidden"}
    assert server.calls
    assert second.calls
    for body in server.calls + second.calls:
        content = body["messages"][-1]["content"]
        assert "- topic: what sails\n" in content
        assert "Mind the tide." in content
    assert "24 chunks annotated" in done.stdout.replace("23 of ", "")
    found = {(r["doc"], r["chunk"]): r["tags"] for r in records(out)}
    assert found[2, 0] == [["topic", "Captain2"]]
    assert len(found) == 23
    assert (3, 1) not in found
    written = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert b"[key] may not ask this" in written
    assert b"hidden" not in written + done.stdout.encode() + done.stderr.encode()

    manifest = orjson.loads((out / "manifest.json").read_bytes())
    assert manifest["extra"]["schema"]["keys"]["topic"]["description"] == "what sails"
    assert manifest["extra"]["key"]["settings"]["model"] == "m"
    assert len(manifest["extra"]["key"]["settings"]["prompt_sha256"]) == 64
    assert manifest["counts"]["shortened"] == 0
    assert manifest["counts"]["prompt_tokens"] == 23 * 7


def test_a_job_whose_server_goes_away_is_finished_later(tokenize: Any, tmp_path: Path) -> None:
    tokens, out = tokenize(TEXTS), tmp_path / "out"
    with ChatServer(topic_of) as server:
        whole = config(tokens, tmp_path / "whole", server).run()
        count = len(server.calls)
        broken = config(tokens, out, server, give_up=0.3, concurrency=2)

        def until(body: dict[str, Any]) -> str | Raw:
            return topic_of(body) if len(server.calls) < count + 15 else Raw(503)

        server.answer = until
        with pytest.raises(WorkFailed, match="--resume"):
            broken.run()
        (journal,) = (out / "tasks").glob("?????.jsonl")
        kept = journal.read_bytes().count(b"\n")
        assert 0 < kept <= 15

        def resume(**options: Any) -> Any:
            return replace(config(tokens, out, server, **options), resume=True).run()

        server.answer = topic_of
        with pytest.raises(InputError, match=r"other settings or inputs \(settings\)"):
            resume(context=True)
        # How the work is spread may change.
        before = len(server.calls)
        manifest = resume(concurrency=1)
        assert len(server.calls) - before == 24 - kept
    assert records(out) == records(tmp_path / "whole")
    assert manifest.counts["annotations"] == whole.counts["annotations"] == 24


def test_when_nothing_works_the_work_stops_early_and_a_sample_shows_why(
    tokenize: Any, tmp_path: Path
) -> None:
    tokens, out = tokenize([f"Captain{k} sang." for k in range(5000)]), tmp_path / "out"
    said = (
        r"200 of the first 200 chunks of a task were rejected, most often \(200\): .*no template"
        r".*Look at some: the same command with --sample 20 --show"
    )
    with ChatServer(lambda body: Raw(400, {"error": {"message": "no template"}})) as server:
        with pytest.raises(WorkFailed, match=said):
            config(tokens, out, server).run()
        assert len(server.calls) < 2500
        options = ["--annotator", "openai", "--model", "m", "--url", server.url]
        shown = command(tokens, out, *options, "--sample", "300", "--show")
    assert shown.returncode == 0, shown.stderr
    # The other tokens are ends of documents, in no chunk.
    assert shown.stdout.count("    rejected: Error code: 400 - no template") > 250


@pytest.mark.slow
@pytest.mark.parametrize("asked_before_the_kill", [1, 60, 290])
def test_a_job_that_is_killed_asks_again_only_for_what_was_in_flight(
    tokenize: Any, tmp_path: Path, asked_before_the_kill: int
) -> None:
    tokens, out = tokenize([f"Captain{k} sang." for k in range(300)]), tmp_path / "out"
    reached = threading.Event()

    def answer(body: dict[str, Any]) -> str:
        if len(server.calls) >= asked_before_the_kill:
            reached.set()
        time.sleep(0.01)
        return topic_of(body)

    with ChatServer(answer) as server:
        line = [sys.executable, "-m", "olmo_anchor.cli", "annotate", str(tokens), "--out", str(out)]
        line += ["--annotator", "openai", "--model", "m", "--url", server.url, "--concurrency", "4"]
        job = subprocess.Popen(line)
        assert reached.wait(60)
        job.kill()
        job.wait()
        time.sleep(0.3)
        before = len(server.calls)
        assert subprocess.run([*line, "--resume"], check=False).returncode == 0
        asked_for = Counter(asked(body) for body in server.calls)
    assert before < 300
    assert [record["doc"] for record in records(out)] == list(range(300))
    assert len(asked_for) == 300
    # In flight: four with the server, and as many again that are made while answers are read.
    again = sum(count - 1 for count in asked_for.values())
    assert again <= 8 + 4
    print(f"killed after {before} of 300 requests; {again} were sent again")


def test_another_prompt_is_another_job(
    tokenize: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmo_anchor.annotate import prompts

    with ChatServer(topic_of) as server:
        done = config(tokenize(TEXTS), tmp_path / "out", server)
        done.run()
        read = prompts._read
        monkeypatch.setattr(prompts, "_read", lambda name: read(name) + "\n# More.")
        with pytest.raises(InputError, match="settings"):
            replace(done, resume=True).run()


def test_context_shows_the_document_so_far(tokenize: Any, tmp_path: Path) -> None:
    text = "The cat sat.\n\nThe dog ran.\n\nThe mat."
    with ChatServer(topic_of) as server:
        config(tokenize([text]), tmp_path / "with", server, context=True).run()
        shown = {asked(body): body["messages"][-1]["content"] for body in server.calls}
        for passage, before in (
            ("The dog ran.", "<before>\nThe cat sat.\n</before>"),
            ("The mat.", "<before>\nThe cat sat.\n\nThe dog ran.\n</before>"),
        ):
            assert before in shown[passage]
        assert "<before>\n\n</before>" in shown["The cat sat."]
        server.calls.clear()
        config(tmp_path / "tokens", tmp_path / "without", server).run()
        assert not any("<before>" in body["messages"][-1]["content"] for body in server.calls)


def test_of_a_conversation_the_last_answer_is_described_and_the_rest_is_context(
    tokenize: Any, tmp_path: Path
) -> None:
    turns = [("user", "cat?"), ("assistant", "The cat."), ("user", "dog?"), ("assistant", "Dog.")]
    messages = [{"role": role, "content": content} for role, content in turns]
    with ChatServer(lambda body: "topic:dog") as server:
        out = tmp_path / "out"
        config(tokenize([messages], chat=True), out, server, context=True).run()
    [body] = server.calls
    content = body["messages"][-1]["content"]
    assert content.endswith("<answer>\nDog.\n</answer>")
    assert "user\ncat?" in content
    assert content.index("The cat.") < content.index("dog?") < content.index("<answer>\nDog.")
    # The control strings of our chat layout are those of other models too.
    assert "<|" not in content
    assert records(out)[0]["tags"] == [["topic", "dog"]]


def test_dry_run_shows_annotations_and_writes_nothing(tokenize: Any, tmp_path: Path) -> None:
    with ChatServer(topic_of) as server:
        options = ["--annotator", "openai", "--model", "m", "--url", server.url, "--dry-run"]
        done = command(tokenize(TEXTS), tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    assert "    topic:Captain" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--annotator", "openai"], "--annotator openai needs --url, such as http://localhost"),
        (["--annotator", "openai", "--url", "here"], "not a URL"),
        (["--annotator", "keyword", "--model", "m"], "--model is for --annotator vllm and openai"),
        (["--annotator", "keyword", "--url", "http://a"], "--url is for --annotator openai"),
        (["--annotator", "vllm", "--concurrency", "8"], "--concurrency is for --annotator openai"),
        (
            ["--annotator", "openai", "--url", "http://a/v1", "--max-model-len", "9"],
            "--max-model-len is for --annotator vllm",
        ),
        (["--annotator", "file", "--context"], "--context is for --annotator vllm and openai"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(
    tokenize: Any, tmp_path: Path, options: Sequence[str], said: str
) -> None:
    done = command(tokenize(TEXTS[:1]), tmp_path / "out", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_wrong_key_is_told_before_anything_is_written(tokenize: Any, tmp_path: Path) -> None:
    with ChatServer(topic_of) as server:
        server.models = Raw(401, {"error": {"message": "Incorrect API key"}})
        options = ["--annotator", "openai", "--model", "m", "--url", server.url]
        done = command(tokenize(TEXTS[:1]), tmp_path / "out", *options)
    assert done.returncode == 2
    assert "OPENAI_API_KEY" in done.stderr
    assert not (tmp_path / "out").exists()
