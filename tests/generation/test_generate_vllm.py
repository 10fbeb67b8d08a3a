"""The command with vLLM. ``.venv-vllm/bin/python -m pytest -m vllm`` runs these."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest
from tiny_models import (
    endless_transitions,
    in_own_process,
    save_bigram_model,
    story_transitions,
)

from olmo_anchor.tokenizer import AnchorTokenizer

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vllm is not installed"),
]


def test_limits_hold_as_with_transformers(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    # <open> q : r <close> x y x y ...
    transitions = endless_transitions(tiny)
    model = in_own_process(save_bigram_model, tmp_path / "model", tiny, transitions)
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(
        '{"id": "plain", "prompt": "The cat."}\n'
        '{"id": "prefilled", "prompt": "The cat.", "prefill": "yx"}\n'
        f'{{"id": "bare", "prompt": "The cat. x"}}\n'
        f'{{"id": "long", "prompt": "{100 * "."}"}}\n'
        f'{{"id": "too long", "prompt": "{123 * "."}", "prefill": "yx"}}\n'
    )
    call = [sys.executable, "-m", "olmo_anchor.cli", "generate", str(model)]
    call += ["--prompts", str(prompts), "--num-samples", "2", "--temperature", "0"]
    for number, limits in enumerate(
        (
            ["--max-tokens", "30"],
            ["--max-tokens", "3"],
            ["--max-tokens", "30", "--max-annotation-tokens", "4"],
        )
    ):
        made = {}
        for engine in ("hf", "vllm"):
            out = tmp_path / f"{engine}-{number}.jsonl"
            run = [*call, *limits, "--engine", engine, "--out", str(out)]
            subprocess.run(run, check=True, timeout=300)
            made[engine] = [orjson.loads(line) for line in out.read_bytes().splitlines()]
        assert made["vllm"] == made["hf"]
        ends = {r["prompt_id"]: (r["annotation_tokens"], r["response_tokens"]) for r in made["hf"]}
        reasons = {r["prompt_id"]: r["finish_reason"] for r in made["hf"]}
        assert ends["bare"] == (0, int(limits[1]))
        assert (
            ends["plain"] == ends["prefilled"] == ((4, 0) if number == 2 else (5, int(limits[1])))
        )
        if number == 0:
            assert ends["long"] == (5, 23)
            assert reasons["long"] == reasons["too long"] == "context"


def test_generate_with_vllm(tiny: AnchorTokenizer, tmp_path: Path) -> None:
    transitions = story_transitions(tiny)
    story_model = in_own_process(save_bigram_model, tmp_path / "model", tiny, transitions)
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "out.jsonl"
    prompts.write_text(
        '{"id": "plain", "prompt": "The cat."}\n'
        '{"id": "prefilled", "prompt": "The cat.", "prefill": "yx"}\n'
    )
    call = [sys.executable, "-m", "olmo_anchor.cli", "generate", str(story_model)]
    call += ["--prompts", str(prompts), "--out", str(out), "--engine", "vllm"]
    call += ["--num-samples", "300", "--max-tokens", "30"]
    subprocess.run(call, check=True, timeout=300)

    records = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [(r["prompt_id"], r["sample"]) for r in records] == [
        (prompt, sample) for prompt in ("plain", "prefilled") for sample in range(300)
    ]
    for start, of_prompt in (("x", records[:300]), ("yx", records[300:])):
        closed = [r for r in of_prompt if not r["unclosed"]]
        assert all(r["response"].startswith(start) for r in closed)
        assert all(set(r["response"]) <= {"x", "y"} for r in closed)
        assert all((r["annotation"] is None) == r["no_annotation"] for r in closed)
        # The model leaves one annotation in four out, and a tenth of the others unclosed.
        assert 45 < sum(r["no_annotation"] for r in of_prompt) < 105
        assert 5 < sum(r["unclosed"] for r in of_prompt) < 41

    finished = out.read_bytes()
    lines = finished.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:40] + lines[350:400]))
    manifest = tmp_path / "out.manifest.json"
    settings = orjson.loads(manifest.read_bytes())["config"]
    manifest.unlink()
    (tmp_path / "out.running.json").write_bytes(orjson.dumps(settings))
    subprocess.run([*call, "--resume"], check=True, timeout=300)
    assert out.read_bytes() == finished
