"""What only a GPU shows: bfloat16, flash attention, memory, FSDP of one rank."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from olmo_core.nn.attention import AttentionBackendName

from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.estimate import memory
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.models import olmo2_like
from tests.training.conftest import annotate
from tests.training.folders import Annotations, write_overlay, write_tokens
from tests.training.test_full_size import RECIPES, build

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

VOCABULARY = 100_352  # dolma2's, padded: that is where memory goes
GIB = 1 << 30


@pytest.fixture(scope="module")
def corpus(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """64 annotated documents of 2048 tokens; the options that name them."""
    folder = tmp_path_factory.mktemp("corpus")
    end, words = tiny.control.end_of_text, tiny.encode("The cat sat on the mat. ")
    document = [*(words * 2048)[:2047], end]
    documents = [document] * 64
    laid: Annotations = {k * 2048: annotate(tiny, ("topic", f"cat {k}")) for k in range(64)}
    tokens = write_tokens(folder / "tokens", [documents], tiny)
    overlay = write_overlay(folder / "overlay", tokens, [documents], [laid], tiny)
    return ["--tokens", str(tokens), "--overlay", str(overlay)]


def metrics(
    recipe: str, folder: Path, *words: str, torchrun: bool = True
) -> list[dict[str, float]]:
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1")
    done = subprocess.run(
        [
            *(sys.executable, *(start if torchrun else ()), str(RECIPES / f"{recipe}.py")),
            *("--save-folder", str(folder), "--trainer.no_checkpoints=true"),
            *("--trainer.metrics_collect_interval=1", *words),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


@pytest.mark.parametrize("size", ["600M", "1B", "2500M"])
def test_steps_of_each_size_on_one_card(
    size: str, corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"pretrain_{size.lower()}_annotated"
    config = build(name, monkeypatch, hardware=replace(Hardware.planned(1)))
    model = config.model.replace(vocab_size=VOCABULARY)
    tokens = config.train_module.rank_microbatch_size
    needed = memory(model, tokens, 1).total
    there = torch.cuda.get_device_properties(0).total_memory / GIB
    if needed > 0.9 * there:
        pytest.skip(f"needs about {needed:.0f} GiB, the card has {there:.0f}")
    words = [f"--model.vocab_size={VOCABULARY}", f"--data_loader.global_batch_size={tokens}"]
    duration = "--trainer.max_duration={value: 3, unit: steps}"
    lines = metrics(name, tmp_path / "run", *corpus, *words, duration)
    losses = [line["train/CE loss"] for line in lines]
    assert len(losses) == 3
    assert losses[0] == pytest.approx(math.log(VOCABULARY), abs=1.5)
    assert losses[2] < losses[0]
    used = max(line["gpu_memory/GPU active mem (GiB)"] for line in lines)
    print(f"{size}: {used:.1f} GiB used, {needed:.1f} estimated")
    assert needed / 2 < used < needed * 2


def test_fsdp_of_one_rank_computes_what_one_process_does(corpus: list[str], tmp_path: Path) -> None:
    words = (*corpus, "--size", "tiny")
    one, other = (
        metrics("pretrain_600m_annotated", tmp_path / str(fsdp), *words, torchrun=fsdp)
        for fsdp in (True, False)
    )
    for a, b in zip(one, other, strict=True):
        assert a["train/CE loss"] == pytest.approx(b["train/CE loss"], abs=0.05)


def test_flash_attention_keeps_packed_documents_apart() -> None:
    backend = Hardware.here().attention
    if backend is AttentionBackendName.torch:
        pytest.skip("flash-attn is not installed")
    torch.manual_seed(0)
    config = olmo2_like(d_model=128, n_layers=2, n_heads=2, vocab_size=512, attn_backend=backend)
    model = config.build(init_device="cuda").to(torch.bfloat16)
    model.init_weights(device=torch.device("cuda"))
    first, second = torch.randint(0, 512, (1, 40)).cuda(), torch.randint(0, 512, (1, 24)).cuda()
    lengths = torch.tensor([[40, 24]]).cuda()
    with torch.no_grad():
        packed = model(torch.cat((first, second), 1), doc_lens=lengths, max_doc_lens=[40])
        alone = model(second, doc_lens=torch.tensor([[24]]).cuda(), max_doc_lens=[24])
    torch.testing.assert_close(packed[:, 40:], alone, rtol=2e-2, atol=2e-2)


def test_a_packed_conversation_run_trains_with_flash_attention(
    tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    if Hardware.here().attention is AttentionBackendName.torch:
        pytest.skip("flash-attn is not installed")
    end, user = tiny.control.end_of_text, tiny.encode("user?")
    documents = [[*user, *tiny.encode(f"The mat {k}."), end] for k in range(400)]
    masks = [[False] * len(user) + [True] * (len(one) - len(user)) for one in documents]
    begins = [sum(map(len, documents[:k])) + len(user) for k in range(400)]
    laid = {at: annotate(tiny, ("topic", "mat")) for at in begins}
    tokens = write_tokens(tmp_path / "tokens", [documents], tiny, [masks], "all")
    overlay = write_overlay(tmp_path / "o", tokens, [documents], [laid], tiny, masks=[masks])
    words = ("--tokens", str(tokens), "--overlay", str(overlay), "--size", "tiny")
    lines = metrics("sft_1b_anchored", tmp_path / "run", *words)
    assert lines[1]["trained/documents"] > 8  # several in each of four rows
    assert lines[-1]["train/CE loss"] < lines[1]["train/CE loss"]
