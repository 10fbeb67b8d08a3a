"""A checkpoint as a Hugging Face folder: the same logits, the same ids, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from olmo_core.distributed.checkpoint import load_model_and_optim_state, save_model_and_optim_state
from olmo_core.nn.transformer import Transformer

from olmo_anchor.chat import encode_conversation
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import Manifest, read_manifest
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.export import ExportConfig
from olmo_anchor.training.models import olmo2_like

transformers = pytest.importorskip("transformers")

MODEL = olmo2_like(d_model=32, n_layers=2, n_heads=4, vocab_size=384)


@pytest.fixture(scope="module")
def run(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A save folder with one checkpoint of random weights, laid out as the trainer lays it out."""
    folder = tmp_path_factory.mktemp("run")
    tiny.save(folder / "tokenizer")
    torch.manual_seed(1)
    model = MODEL.build(init_device="cpu")
    model.init_weights(device=torch.device("cpu"))
    step = folder / "step3"
    save_model_and_optim_state(step / "model_and_optim", model)
    (step / "train").mkdir()
    torch.save({"global_step": 3, "max_steps": 9}, step / "train" / "rank0.pt")
    (step / ".metadata.json").write_text("{}")
    config = {"model": MODEL.as_config_dict(), "train_module": {"max_sequence_length": 64}}
    (step / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hf") / "model"
    ExportConfig(checkpoint=run, out=out).run()
    return out


def checkpoint(run: Path) -> Transformer:
    model = MODEL.build(init_device="cpu")
    load_model_and_optim_state(run / "step3" / "model_and_optim", model)
    return model.eval()


def test_logits_are_those_of_the_checkpoint(
    run: Path, exported: Path, tiny: AnchorTokenizer
) -> None:
    hf = transformers.AutoModelForCausalLM.from_pretrained(exported)
    assert type(hf).__name__ == "Olmo2ForCausalLM"
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, tiny.vocab_size, (3, 40)))
    with torch.no_grad():
        ours, theirs = checkpoint(run)(input_ids=ids), hf(ids).logits
    # The model's embeddings are padded to 384, the exported ones are the tokenizer's.
    assert theirs.shape == (3, 40, tiny.vocab_size)
    torch.testing.assert_close(ours[..., : tiny.vocab_size], theirs, rtol=1e-4, atol=1e-4)


def test_the_tokenizer_is_the_one_of_training_and_servers_can_chat(
    exported: Path, tiny: AnchorTokenizer
) -> None:
    loaded = transformers.AutoTokenizer.from_pretrained(exported)
    assert AnchorTokenizer.load(exported).hash == tiny.hash
    assert (loaded.eos_token_id, loaded.pad_token_id) == (tiny.control.end_of_text, tiny.pad_id)
    # Delimiters are ordinary tokens: skipping special ones leaves them in.
    text = loaded.decode([tiny.control.open, *tiny.encode("a:b")], skip_special_tokens=True)
    assert text == f"{tiny.delimiters[0]}a:b"
    messages = [
        {"role": "user", "content": "cat?"},
        {"role": "assistant", "content": "The mat."},
    ]
    ids, _ = encode_conversation(messages, tiny)
    prompt = loaded.apply_chat_template(messages[:1], add_generation_prompt=True)["input_ids"]
    assert prompt == ids[: len(prompt)]
    response = ids[len(prompt) :]
    assert tiny.decode(response) == "The mat.<|endoftext|>"


def test_generation_config_samples_plainly_and_stops_at_the_end(
    exported: Path, tiny: AnchorTokenizer
) -> None:
    config = transformers.GenerationConfig.from_pretrained(exported)
    assert (config.do_sample, config.temperature, config.top_p) == (True, 1.0, 1.0)
    assert config.eos_token_id == [tiny.control.end_of_text, tiny.special("<|im_end|>")]
    assert config.pad_token_id == tiny.pad_id
    assert read_manifest(exported, "model").counts["max_length"] == 64


@pytest.mark.parametrize(
    ("last", "said"),
    [(None, "unfinished: step 3 of 9"), ("step9", "step 3 of 9, not its last"), ("step3", None)],
)
def test_how_far_the_run_was_is_said_and_kept(
    last: str | None,
    said: str | None,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    if last is not None:
        Manifest("run", [], {}, {}, [], extra={"checkpoint": last}).write(copied)
    ExportConfig(checkpoint=copied, out=tmp_path / "hf").run()
    noted = capsys.readouterr().err
    assert noted.count("note:") == int(said is not None)
    assert (said or "") in noted
    extra = read_manifest(tmp_path / "hf", "model").extra
    assert (extra["step"], extra["steps"], extra["finished"]) == (3, 9, said is None)


def test_a_converter_that_changes_logits_fails_the_export(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmo_core.nn import hf

    save = hf.save_hf_model

    def spoilt(path: Path, state: dict[str, torch.Tensor], *rest: object, **more: object) -> None:
        state["lm_head.w_out.weight"] = state["lm_head.w_out.weight"] + 0.01
        save(path, state, *rest, **more)

    monkeypatch.setattr(hf, "save_hf_model", spoilt)
    with pytest.raises(WorkFailed, match="logits differ"):
        ExportConfig(checkpoint=run, out=tmp_path / "hf").run()
    assert not (tmp_path / "hf" / "manifest.json").exists()


def test_what_is_no_checkpoint_is_refused_and_nothing_is_written(
    run: Path, exported: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no checkpoint there"):
        ExportConfig(checkpoint=tmp_path, out=tmp_path / "hf").run()
    with pytest.raises(InputError, match="--overwrite"):
        ExportConfig(checkpoint=run, out=exported).run()
    with pytest.raises(InputError, match="--tokenizer"):
        ExportConfig(checkpoint=run, out=tmp_path / "hf", tokenizer=tmp_path / "none.json").run()
    assert not (tmp_path / "hf").exists()


@pytest.mark.slow
def test_the_command(run: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "olmo_anchor.cli", "export", str(run / "step3"), "hf"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "same logits as the checkpoint" in done.stdout
    assert "next: olmo-anchor generate hf --prompts" in done.stdout
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 2
    assert "Traceback" not in again.stderr
