"""A job on a real vLLM server: the server is killed and comes back, the job is killed and resumed.

`make test-vllm` runs it. The model is untrained: the schema alone holds its answers in form.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_models import in_own_process, save_random_model
from vllm_server import VLLMServer

from olmo_anchor.annotate.folder import JobFolder
from olmo_anchor.annotation import Annotation, Schema
from olmo_anchor.chat import chat_template
from olmo_anchor.manifest import read_manifest
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.annotate.conftest import records

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vllm is not installed"),
]

SCHEMA = Schema(keys=("topic", "entity"), max_tags=3, max_value_chars=12)
TEXTS = [f"The cat sat on the mat {k} times.\n\nThe dog ran {k} times." for k in range(300)]


@pytest.fixture
def server(tiny: AnchorTokenizer, tmp_path: Path) -> VLLMServer:
    folder = tmp_path / "model"
    in_own_process(save_random_model, folder, tiny, context=8192)
    (folder / "chat_template.jinja").write_text(chat_template(tiny))
    return VLLMServer(folder, tmp_path / "server.log")


def written(out: Path) -> int:
    journal = JobFolder(out).task(0).journal
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for(out: Path, lines: int, job: subprocess.Popen[bytes]) -> int:
    for _ in range(1200):
        if (done := written(out)) >= lines:
            return done
        assert job.poll() is None, f"the job ended with {job.returncode} after {done} lines"
        time.sleep(0.1)
    raise AssertionError(f"after 120 seconds {done} lines")


def test_killed_servers_and_killed_jobs_lose_nothing(
    server: VLLMServer, tokenize: Any, tmp_path: Path
) -> None:
    schema = tmp_path / "mine.yaml"
    schema.write_text("{keys: {topic: what it is, entity: who}, max_tags: 3, max_value_chars: 12}")
    tokens, out = tokenize(TEXTS), tmp_path / "annotations"
    line = [sys.executable, "-m", "olmo_anchor.cli", "annotate", str(tokens), "--out", str(out)]
    line += ["--annotator", "openai", "--model", "tiny", "--url", server.url]
    line += ["--schema", str(schema), "--concurrency", "8", "--max-rejected", "0.5"]

    with server:
        job = subprocess.Popen(line)
        wait_for(out, 40, job)
        server.kill()
        stood = written(out)
        # The job waits for the server, and goes on by itself.
        server.start()
        wait_for(out, stood + 40, job)
        job.send_signal(signal.SIGKILL)
        job.wait()
        time.sleep(0.5)
        kept = written(out)
        journal = JobFolder(out).task(0).journal.read_bytes()
        resumed = subprocess.run([*line, "--resume"], check=False)
    assert resumed.returncode == 0
    manifest = read_manifest(out, "annotations")
    assert manifest.counts["chunks"] == 600
    found = records(out)
    places = [(record["doc"], record["chunk"]) for record in found]
    assert places == sorted(set(places)), "a chunk stands twice, or out of order"
    assert len(found) + manifest.counts["rejected"] + manifest.counts["unannotated"] == 600
    # What was written before the kill is what is there now.
    assert kept >= stood + 40
    before = [line for line in journal.splitlines() if b'"tags":[[' in line]
    assert [record["text_hash"] for record in found[: len(before)]] == [
        line.split(b'"text_hash":"')[1][:16].decode() for line in before
    ]
    for record in found:
        assert SCHEMA.refuse(Annotation.of(*map(tuple, record["tags"]))) is None
