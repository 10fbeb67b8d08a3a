"""Runs of one recipe that differ in the learning rate or in the share of the data.

The paper chooses the learning rate of post-training by held-out perplexity among candidates (C.2),
and varies the size of the data (figure 4, right). Each candidate is the recipe's own command in a
folder of its own, so that a sweep goes on wherever it was stopped, and each run stands by itself.
"""

from __future__ import annotations

import math
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import MANIFEST, Manifest, file_record, read_manifest, write_json
from olmo_anchor.terminal import console

__all__ = ["HELD_OUT_LOSS", "Candidate", "Result", "SweepConfig", "best"]

HELD_OUT_LOSS = "drift/text/CE loss"
"""Of the responses of held-out conversations, nats a token: the drift callback's."""
_VALUE_DRIFT = "drift/value/CE loss change"


@dataclass(frozen=True, slots=True)
class Candidate:
    """:param command: trains it, or goes on; without a shell."""

    lr: float | None
    share: Fraction | None
    folder: Path
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.folder.name


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run.

    :param share: of the training data.
    :param held_out_loss: nats a token at the last step; not a number where the run diverged.
    :param value_drift: how far the loss of annotation values moved from where post-training began,
        nats; None without annotations.
    """

    name: str
    lr: float | None
    share: float | None
    steps: int
    held_out_loss: float
    value_drift: float | None
    folder: str


def best(results: list[Result]) -> list[Result]:
    """The result of the lowest held-out loss for each share; one that diverged never wins."""
    winners = {}
    for result in sorted(results, key=_loss, reverse=True):
        if math.isfinite(result.held_out_loss):
            winners[result.share] = result
    return sorted(winners.values(), key=lambda result: result.share or 1)


def _loss(result: Result) -> float:
    return result.held_out_loss if math.isfinite(result.held_out_loss) else math.inf


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Train a recipe once for each learning rate and share, and compare.

    :param lr: peak learning rates; empty takes the recipe's.
    :param share: of the training data, nested: what a small one has, a larger has too.
    :param nproc: processes of each run, by torchrun where there are several.
    :param overrides: passed on to the recipe.
    """

    recipe: Path
    out: Path
    tokens: str
    overlay: str | None = None
    load_path: str | None = None
    lr: tuple[float, ...] = ()
    share: tuple[Fraction, ...] = ()
    seed: int = 0
    nproc: int = 1
    overrides: tuple[str, ...] = ()

    def candidates(self) -> list[Candidate]:
        """One for each combination.

        :raises InputError: when nothing is varied, or a value occurs twice.
        """
        if not self.recipe.is_file():
            raise InputError(f"{self.recipe}: no such recipe; they are the files of train_configs/")
        if not self.lr and not self.share:
            raise InputError("nothing is varied; name values for --lr or --share")
        found = [
            self._candidate(*pair) for pair in product(self.lr or (None,), self.share or (None,))
        ]
        names = [candidate.name for candidate in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"{', '.join(twice)}: named twice")
        return found

    def _candidate(self, lr: float | None, share: Fraction | None) -> Candidate:
        names, overrides = [], []
        if lr is not None:
            names.append(f"lr-{lr:g}")
            overrides.append(f"--train_module.optim.lr={lr!r}")
        if share is not None:
            names.append(f"share-{share.numerator}of{share.denominator}")
            overrides.append(f"--dataset.selection.share={float(share)!r}")
        folder = self.out / "-".join(names)
        torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={self.nproc}")
        places = {"tokens": self.tokens, "overlay": self.overlay, "load-path": self.load_path}
        command = (
            *(sys.executable, *(torchrun if self.nproc > 1 else ()), str(self.recipe)),
            *(word for key, value in places.items() if value for word in (f"--{key}", value)),
            *("--save-folder", str(folder), "--seed", str(self.seed), *overrides),
            # A recipe that holds nothing out refuses it, before it trains in vain.
            *("--trainer.callbacks.drift.enabled=true", *self.overrides),
        )
        return Candidate(lr, share, folder, command)

    def run(self, *, collect: bool = False) -> list[Result]:
        """Train what is not finished, one after the other; write ``sweep.json`` and the manifest.

        :param collect: train nothing: the runs were made elsewhere.
        :raises WorkFailed: when a run failed, after all others have ended, or with ``collect`` when
            one is unfinished; on SIGTERM or Ctrl-C, once the run has saved. The same call goes on.
        """
        began, candidates = time.monotonic(), self.candidates()
        failed: list[Candidate] = []
        if not collect:
            self.out.mkdir(parents=True, exist_ok=True)
            failed = [candidate for candidate in candidates if not _train(candidate)]
        ended = [one for one in candidates if one not in failed and _finished(one)]
        results = [_result(candidate) for candidate in ended]
        if len(ended) < len(candidates):
            lacking = [one for one in candidates if one not in ended]
            raise WorkFailed(
                f"{self.out}: {len(ended)} of {len(candidates)} runs have ended; not "
                f"{', '.join(one.name for one in lacking)}. To go on with the first by itself:\n"
                f"    {shlex.join(lacking[0].command)}"
            )
        winners = best(results)
        path = self.out / "sweep.json"
        write_json(path, {"runs": [*map(asdict, results)], "best": [*map(asdict, winners)]})
        Manifest(
            kind="sweep",
            inputs=[
                file_record(self.recipe),
                *(file_record(one.folder / MANIFEST) for one in ended),
            ],
            config={name: _plain(value) for name, value in asdict(self).items()},
            counts={"runs": len(results), "diverged": sum(_loss(r) == math.inf for r in results)},
            outputs=[file_record(path, self.out)],
            seed=self.seed,
            seconds=round(time.monotonic() - began, 3),
        ).write(self.out)
        return results


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path | Fraction) else value


def _train(candidate: Candidate) -> bool:
    console.rule(candidate.name, align="left")
    code, stopped = _wait(candidate.command)
    if stopped:
        raise WorkFailed(f"{candidate.folder}: stopped; the same command goes on")
    if code == 2:  # what is wrong with one is wrong with all
        raise InputError(f"{candidate.name}: the recipe refused the call, as it says above")
    return code == 0


def _wait(command: Sequence[str]) -> tuple[int, bool]:
    """The exit code of a command, and whether a signal came, at which it was let save and end."""
    stopped = False
    process: subprocess.Popen[bytes] | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        # A terminal sends Ctrl-C to both.
        if process is not None and number == signal.SIGTERM:
            process.send_signal(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        process = subprocess.Popen(command)
        if stopped:  # it came in between
            process.send_signal(signal.SIGTERM)
        return process.wait(), stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _finished(candidate: Candidate) -> bool:
    return (candidate.folder / MANIFEST).exists()


def _result(candidate: Candidate) -> Result:
    manifest = read_manifest(candidate.folder, "run")
    last = None
    for record in _records(candidate.folder / "metrics.jsonl"):
        last = record if HELD_OUT_LOSS in record else last
    if last is None:
        raise InputError(
            f"{candidate.folder}: its metrics.jsonl holds no held-out loss; sweep a recipe that "
            "holds conversations out, such as sft_1b_anchored.py, with its drift callback on"
        )
    return Result(
        name=candidate.name,
        lr=candidate.lr,
        share=None if candidate.share is None else float(candidate.share),
        steps=manifest.counts["steps"],
        held_out_loss=math.nan if last[HELD_OUT_LOSS] is None else last[HELD_OUT_LOSS],
        value_drift=last.get(_VALUE_DRIFT),
        folder=str(candidate.folder),
    )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    import json

    with path.open() as file:
        for line in file:
            yield json.loads(line)  # a run that diverged writes NaN, which orjson refuses
