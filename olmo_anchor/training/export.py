"""A checkpoint as a Hugging Face model folder that holds all that is needed to generate.

OLMo-core converts and compares the logits; we add what it does not know: the tokenizer byte for
byte as it was trained with (delimiters stay ordinary tokens, so that servers do not strip them),
the chat template, and how to sample.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.chat import chat_template
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import MANIFEST, Manifest, file_record, prepare_output, write_json
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["LOGITS_TOLERANCE", "ExportConfig"]

LOGITS_TOLERANCE = 1e-4
"""Relative and absolute, in float32: what ``olmo_core.nn.hf`` holds a conversion to."""

_TURN_END = "<|im_end|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """Make a MODEL_DIR from an OLMo-core checkpoint.

    :param checkpoint: a run's save folder, or a ``stepN`` folder in it.
    :param tokenizer: what the checkpoint was trained with, for runs that hold none.
    :param max_length: the longest sequence to serve; default the training sequence length.
    """

    checkpoint: Path
    out: Path
    tokenizer: Path | None = None
    max_length: int | None = None
    overwrite: bool = False

    def run(self) -> Manifest:
        """Convert, check, and write ``manifest.json`` (kind "model") last.

        :raises InputError: when there is no whole checkpoint, or its tokenizer is missing or has
            more tokens than the model; when ``out`` exists.
        :raises WorkFailed: when the converted model's logits are not those of the checkpoint.
        """
        began = time.monotonic()
        # It tells of every optional dependency that is not installed.
        logging.getLogger("olmo_core").setLevel(logging.ERROR)
        from olmo_anchor.training.launch import find_checkpoint

        checkpoint = find_checkpoint(self.checkpoint)
        config = _read_config(checkpoint)
        tokenizer = self._tokenizer(checkpoint)
        if tokenizer.vocab_size > config["model"]["vocab_size"]:
            raise InputError(
                f"{checkpoint}: has {config['model']['vocab_size']} embeddings, its tokenizer "
                f"{tokenizer.source} {tokenizer.vocab_size} tokens; give the right --tokenizer"
            )
        max_length = self.max_length or int(config["train_module"]["max_sequence_length"])
        prepare_output(self.out, overwrite=self.overwrite)
        _convert(checkpoint, self.out, config["model"], tokenizer, max_length)
        _write_tokenizer(self.out, tokenizer)
        _write_generation_config(self.out, tokenizer)
        run = checkpoint.parent / MANIFEST
        manifest = Manifest(
            kind="model",
            inputs=[file_record(p) for p in (checkpoint / "config.json", run) if p.exists()],
            config={k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()},
            counts={"vocab_size": tokenizer.vocab_size, "max_length": max_length},
            outputs=[
                file_record(path, self.out)
                for path in sorted(self.out.iterdir())
                if path.is_file() and not path.name.startswith(".")
            ],
            extra={
                "checkpoint": str(checkpoint),
                "tokenizer_hash": tokenizer.hash,
                "logits_tolerance": LOGITS_TOLERANCE,
            },
            seconds=round(time.monotonic() - began, 3),
        )
        manifest.write(self.out)
        return manifest

    def _tokenizer(self, checkpoint: Path) -> AnchorTokenizer:
        folder = self.tokenizer or checkpoint.parent / "tokenizer"
        if not folder.exists():
            raise InputError(
                f"{folder}: the run holds no tokenizer; name the one that it was trained with by "
                "--tokenizer"
            )
        return AnchorTokenizer.load(folder)


def _read_config(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / "config.json"
    try:
        config: dict[str, Any] = orjson.loads(path.read_bytes())
        config["model"]["vocab_size"], config["train_module"]["max_sequence_length"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not the config of a training run ({error}); export a checkpoint that a file "
            "of train_configs/ made"
        ) from None
    return config


def _convert(
    checkpoint: Path, out: Path, model: dict[str, Any], tokenizer: AnchorTokenizer, max_length: int
) -> None:
    import torch
    from olmo_core.nn.hf.convert_checkpoint import convert_checkpoint_to_hf
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    # The converter reads the tokenizer from a folder, and wants its length to be exactly this.
    tokenizer.save(out)
    facts = {
        "vocab_size": tokenizer.vocab_size,
        "eos_token_id": tokenizer.control.end_of_text,
        "pad_token_id": tokenizer.pad_id,
    }
    try:
        # It prints the model's config, and draws the ids of the check batch at random.
        with (
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
            torch.random.fork_rng(devices=[]),
        ):
            torch.manual_seed(0)
            convert_checkpoint_to_hf(
                checkpoint,
                out,
                model,
                facts,
                tokenizer_id=str(out),
                max_sequence_length=max_length,
                validate=True,
            )
    except AssertionError as error:
        reason = " ".join(str(error).split())
        raise WorkFailed(
            f"{out}: the converted model's logits differ from those of {checkpoint} by more than "
            f"{LOGITS_TOLERANCE}: {reason}"
        ) from None


def _write_tokenizer(out: Path, tokenizer: AnchorTokenizer) -> None:
    """The tokenizer as it was trained with, byte for byte, and the chat template."""
    from transformers import AutoTokenizer

    # The converter's copy differs by an empty post-processor, its audit is of that copy.
    (out / "tokenizer-export-audit.json").unlink(missing_ok=True)
    tokenizer.save(out)
    if _TURN_END in tokenizer.control_strings:
        (out / "chat_template.jinja").write_text(chat_template(tokenizer), encoding="utf-8")
    loaded = AutoTokenizer.from_pretrained(out, local_files_only=True)
    special = set(loaded.all_special_tokens) & set(tokenizer.delimiters)
    if len(loaded) != tokenizer.vocab_size or special:
        raise WorkFailed(
            f"{out}: transformers reads {len(loaded)} tokens instead of {tokenizer.vocab_size}, or "
            f"takes delimiters for special tokens ({', '.join(sorted(special)) or 'none'}): "
            "servers would strip them; make them ordinary (special: false) in tokenizer.json"
        )


def _write_generation_config(out: Path, tokenizer: AnchorTokenizer) -> None:
    """Plain sampling: the measure of an anchored model is what it says at temperature 1."""
    stop = [tokenizer.control.end_of_text]
    if _TURN_END in tokenizer.control_strings:
        stop.append(tokenizer.special(_TURN_END))
    write_json(
        out / "generation_config.json",
        {
            "do_sample": True,
            "temperature": 1.0,
            "top_p": 1.0,
            "eos_token_id": stop if len(stop) > 1 else stop[0],
            "pad_token_id": tokenizer.pad_id,
        },
    )
