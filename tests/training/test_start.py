"""Weights from a Hugging Face model: the same logits, and what is refused before training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.models import olmo2_like
from olmo_anchor.training.start import check_hugging_face, is_hugging_face, load_hugging_face
from tests.training.conftest import Corpus
from tests.training.test_full_size import RECIPES

transformers = pytest.importorskip("transformers")

# The recipes' tiny size, with the embedding padded to a multiple of 128.
TINY = olmo2_like(d_model=64, n_layers=2, n_heads=2, vocab_size=512)


@pytest.fixture(scope="module")
def model(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face OLMo 2 of the tiny size, as Ai2 publishes theirs: the vocabulary padded."""
    folder = tmp_path_factory.mktemp("hf")
    torch.manual_seed(5)
    config = transformers.Olmo2Config(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        rope_theta=500_000,
        rms_norm_eps=1e-6,
        initializer_range=0.15,
    )
    transformers.Olmo2ForCausalLM(config).save_pretrained(folder)
    tiny.save(folder)
    return folder


def test_a_hugging_face_model_is_known_from_a_run(model: Path, tmp_path: Path) -> None:
    assert is_hugging_face(str(model))
    assert is_hugging_face("hf://allenai/OLMo-2-0425-1B")
    assert not is_hugging_face(str(tmp_path))
    assert not is_hugging_face("runs/no-such-run")
    (tmp_path / "config.json").write_text('{"model": {}}')  # a run's own
    assert not is_hugging_face(str(tmp_path))


def test_the_loaded_model_has_the_same_logits(model: Path) -> None:
    loaded = TINY.build(init_device="cpu")
    load_hugging_face(model, loaded)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    ids = torch.arange(120).reshape(3, 40)
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"d_model": 96, "n_heads": 3}, "hidden_size 64 there, 96 here"),
        ({"n_layers": 3}, "num_hidden_layers 2 there, 3 here"),
        ({"rope_theta": 10_000}, "rope_theta 500000 there, 10000 here"),
    ],
)
def test_another_architecture_is_refused(model: Path, change: dict[str, int], reason: str) -> None:
    sizes = {"d_model": 64, "n_layers": 2, "n_heads": 2, "vocab_size": 512, **change}
    with pytest.raises(InputError, match=reason):
        check_hugging_face(model, olmo2_like(**sizes), None)


def test_another_tokenizer_is_refused(model: Path, tiny: AnchorTokenizer, tmp_path: Path) -> None:
    check_hugging_face(model, TINY, tiny)
    other = tmp_path / "other"
    shutil.copytree(model, other)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    stored = json.loads(tokenizer.to_str())
    stored["model"]["merges"] = stored["model"]["merges"][:-40]
    (other / "tokenizer.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match="gives other ids than that of the data"):
        check_hugging_face(other, TINY, tiny)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_begins_with_its_weights(
    processes: int, model: Path, prose: Corpus, tmp_path: Path
) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}")
    command = [
        *(sys.executable, *(torchrun if processes > 1 else ())),
        *(str(RECIPES / "anneal_olmo2_1b_annotated.py"), "--size", "tiny"),
        *("--tokens", str(prose.tokens), "--overlay", str(prose.overlay)),
        *("--load-path", str(model), "--save-folder", str(tmp_path / "run")),
        *("--train_module.optim.lr=0.0", "--trainer.max_duration={value: 1, unit: steps}"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "model"
    export = [sys.executable, "-m", "olmo_anchor.cli", "export", str(tmp_path / "run"), str(out)]
    done = subprocess.run(export, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    began, ended = (
        transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
        for folder in (model, out)
    )
    for name, weight in ended.items():
        torch.testing.assert_close(weight, began[name][: len(weight)], msg=name)


def test_a_hub_that_cannot_be_reached_is_one_line(prose: Corpus, tmp_path: Path) -> None:
    command = [
        *(sys.executable, str(RECIPES / "anneal_olmo2_1b_annotated.py"), "--size", "tiny"),
        *("--tokens", str(prose.tokens), "--overlay", str(prose.overlay)),
        *("--load-path", "hf://nobody/nothing", "--save-folder", str(tmp_path / "run")),
    ]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=offline)
    assert done.returncode == 2
    assert done.stderr.count("Error: hf://nobody/nothing: cannot be fetched from the hub") == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
