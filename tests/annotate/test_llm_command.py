"""Jobs of a language model on a real server: the command, servers that go away, what is shown."""

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

from olmo_anchor.annotate.job import AnnotateConfig, open_tokens
from olmo_anchor.annotate.llm_config import LLMConfig
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.errors import InputError, WorkFailed
from tests.annotate.conftest import asked, records, topic_of

pytest.importorskip("openai", reason="the extra `annotate` is not installed")

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
    reached, killed = threading.Event(), threading.Event()

    def answer(body: dict[str, Any]) -> str:
        if server.calls.index(body) + 1 >= asked_before_the_kill:
            reached.set()
            killed.wait()
        return topic_of(body)

    with ChatServer(answer) as server:
        line = [sys.executable, "-m", "olmo_anchor.cli", "annotate", str(tokens), "--out", str(out)]
        line += ["--annotator", "openai", "--model", "m", "--url", server.url, "--concurrency", "4"]
        job = subprocess.Popen(line)
        assert reached.wait(60)
        job.kill()
        job.wait()
        time.sleep(0.3)  # what the killed process had started ends itself
        killed.set()
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
