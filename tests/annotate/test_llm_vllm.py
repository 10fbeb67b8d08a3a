"""vLLM as the annotator, in this process and as a server. `make test-vllm` runs these.

The model is untrained: whatever it writes is held in form by the schema's regular expression alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_models import in_own_process, save_random_model
from vllm_server import VLLMServer

from olmo_anchor.annotate.llm_config import LLMConfig
from olmo_anchor.annotation import Annotation, Schema
from olmo_anchor.chat import chat_template
from olmo_anchor.engines.chat import ChatEngine, ChatRequest
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.annotate.conftest import records

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vllm is not installed"),
]

SCHEMA = Schema(keys=("topic", "entity"), max_tags=3, max_value_chars=12)
TEXTS = [f"The cat sat on the mat {k} times.\n\nThe dog ran {k} times." for k in range(8)]


@pytest.fixture(scope="module")
def model(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("annotator")
    in_own_process(save_random_model, folder, tiny, context=8192)
    (folder / "chat_template.jinja").write_text(chat_template(tiny))
    return folder


@pytest.fixture(scope="module")
def url(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with VLLMServer(model, tmp_path_factory.mktemp("server") / "log") as server:
        yield server.url


@pytest.fixture(scope="module")
def offline(model: Path) -> ChatEngine:
    from olmo_anchor.engines.vllm_chat import VLLMChatEngine

    return VLLMChatEngine(str(model), max_model_len=4096)


@pytest.fixture(params=["openai", "vllm"])
def engine(request: pytest.FixtureRequest) -> ChatEngine:
    if request.param == "vllm":
        offline: ChatEngine = request.getfixturevalue("offline")
        return offline
    from olmo_anchor.engines.openai import OpenAIEngine

    return OpenAIEngine("tiny", [request.getfixturevalue("url")], timeout=120)


def ask(text: str, **options: Any) -> ChatRequest:
    return ChatRequest([{"role": "user", "content": text}], **options)


def test_answers_match_the_regex_of_a_schema(engine: ChatEngine) -> None:
    requests = [ask(text, regex=SCHEMA.regex(), max_tokens=200) for text in TEXTS * 4]
    found = list(engine.chat(requests))
    assert sorted(reply.index for reply in found) == list(range(32))
    for reply in found:
        assert reply.finish_reason == "stop"
        assert re.fullmatch(SCHEMA.regex(), str(reply.text))
        assert reply.prompt_tokens > 20
        assert 0 < reply.completion_tokens <= 200


def test_greedy_is_repeatable_and_a_seed_varies(engine: ChatEngine) -> None:
    def texts(**options: Any) -> list[str | None]:
        requests = [ask(TEXTS[0], max_tokens=12, **options) for _ in range(2)]
        return [reply.text for reply in engine.chat(requests)]

    greedy = texts()
    assert greedy[0] == greedy[1] == texts()[0]
    seeded = [texts(temperature=1.0, seed=seed) for seed in (1, 2)]
    assert seeded[0][0] == seeded[0][1] != seeded[1][0]


def test_what_does_not_fit_says_so_and_the_rest_goes_on(engine: ChatEngine) -> None:
    requests = [ask("cat " * 9000), ask("cat", max_tokens=4)]
    long, short = sorted(engine.chat(requests), key=lambda reply: reply.index)
    assert (long.text, long.too_long) == (None, True)
    assert short.text is not None
    assert short.finish_reason == "length"


def annotate(tokens: Path, out: Path, schema: Path, *options: str) -> list[dict[str, Any]]:
    line = [sys.executable, "-m", "olmo_anchor.cli", "annotate", str(tokens), "--out", str(out)]
    done = subprocess.run(
        [*line, "--schema", str(schema), *options],
        capture_output=True,
        text=True,
        # Half of the memory that vLLM reserves by itself: a server runs beside it.
        env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return records(out)


def test_the_command_on_a_server_and_in_this_process(
    url: str, model: Path, tokenize: Any, tmp_path: Path
) -> None:
    schema = tmp_path / "mine.yaml"
    schema.write_text("{keys: {topic: what it is, entity: who}, max_tags: 3, max_value_chars: 12}")
    tokens = tokenize(TEXTS)
    by_server = annotate(
        tokens, tmp_path / "a", schema, "--annotator", "openai", "--url", url, "--model", "tiny"
    )
    by_itself = annotate(
        tokens, tmp_path / "b", schema, "--annotator", "vllm", "--model", str(model)
    )
    for found in (by_server, by_itself):
        tags: list[Sequence[Any]] = [record["tags"] for record in found]
        assert 0 < len(tags) <= 16
        for each in tags:
            assert SCHEMA.refuse(Annotation.of(*map(tuple, each))) is None


def test_a_model_that_is_not_there_is_one_line() -> None:
    config = LLMConfig(model="/nowhere/at/all")
    with pytest.raises(InputError, match="/nowhere/at/all: vLLM cannot load it") as caught:
        config.open("vllm", SCHEMA, chat=False)
    assert "\n" not in str(caught.value)
