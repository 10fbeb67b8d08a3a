"""Recipes, run as a user runs them: in processes of their own, by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from olmo_core.distributed.checkpoint import get_checkpoint_metadata, load_keys

from tests.training.conftest import Corpus

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "train_configs"
FAULTS = Path(__file__).parent / "faults"
TINY = (
    *("--model.n_layers=1", "--dataset.max_tokens=null"),
    *("--trainer.metrics_collect_interval=4", "--trainer.callbacks.checkpointer.save_interval=5"),
)


def command(
    name: str,
    corpus: Corpus,
    folder: Path,
    *overrides: str,
    processes: int = 1,
    torchrun: Sequence[str] = (),
) -> list[str]:
    program = [sys.executable]
    if processes > 1 or torchrun:
        program += ["-m", "torch.distributed.run", "--standalone"]
        program += [f"--nproc-per-node={processes}", *torchrun]
    return [
        *program,
        str(RECIPES / f"{name}.py"),
        *("--tokens", str(corpus.tokens), "--overlay", str(corpus.overlay)),
        *("--save-folder", str(folder)),
        *TINY,
        *overrides,
    ]


def environment(fault: dict[str, str] | None = None) -> dict[str, str]:
    """:param fault: for :mod:`tests.training.faults.sitecustomize`."""
    values = {**os.environ, "OMP_NUM_THREADS": "1"}
    # Ranks that torchrun starts again find the addresses of those before, without it.
    values["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    if fault is not None:
        paths = (str(FAULTS), os.environ.get("PYTHONPATH", ""))
        values |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "FAULT": json.dumps(fault)}
    return values


def launch(
    name: str,
    corpus: Corpus,
    folder: Path,
    *overrides: str,
    processes: int = 1,
    torchrun: Sequence[str] = (),
    fault: dict[str, str] | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    words = command(name, corpus, folder, *overrides, processes=processes, torchrun=torchrun)
    return subprocess.run(words, env=environment(fault), capture_output=True, text=True, **options)


def losses(folder: Path) -> dict[int, float]:
    """By step; each may stand there once only."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = {line["step"]: line["train/CE loss"] for line in lines}
    assert len(found) == len(lines)
    return found


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint, of the model and of the optimizer."""
    folder = str(checkpoint / "model_and_optim")
    tensors = get_checkpoint_metadata(folder).state_dict_metadata
    names = [name for name, facts in tensors.items() if hasattr(facts, "size")]
    return dict(zip(names, load_keys(folder, names), strict=True))


def checkpoints(folder: Path) -> list[int]:
    """The steps of the ``stepN`` folders, whole or not."""
    return sorted(int(path.name[4:]) for path in folder.glob("step*") if path.name[4:].isdigit())


def assert_equal(run: Path, whole: Path) -> None:
    """A finished run has every step of another once, its losses, its weights and its optimizer."""
    assert losses(run) == losses(whole)
    last = f"step{max(losses(whole))}"
    ours, theirs = weights(run / last), weights(whole / last)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (run / "manifest.json").exists()
    assert not [*run.glob("step*-tmp")]
