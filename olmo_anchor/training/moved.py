"""Where the weights moved between two checkpoints: by part of the model, and by the words' rows.

All positions share the rows of the embedding and of the output layer. A row whose word is never a
target of post-training has a gradient all the same, a small one: the output layer takes a little
probability from every word that is not said. An optimizer that divides gradients by their size
makes a full step of it. How far such rows went, beside those of words that are trained, tells how
much of the drift of an untrained distribution comes that way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from olmo_core.distributed.checkpoint import get_checkpoint_metadata, load_keys

from olmo_anchor.corpus.overlay_files import OverlayDir, interleave
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy, policy_mask
from olmo_anchor.spans import final_run_mask
from olmo_anchor.training.save_folder import find_checkpoint

__all__ = ["KINDS", "Moved", "moved_rows", "token_kinds", "where_moved"]

KINDS = ("targets", "only read", "absent")
"""What a word is to some data: it is a target somewhere, it stands there and never is one, or it
does not stand there."""

_ROWS = {"embeddings.weight": "embedding", "lm_head.w_out.weight": "output"}

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Moved:
    """A part of a model.

    :param tokens: of the vocabulary, of which the part holds the rows; None for other parts.
    :param parameters: how many numbers it holds.
    :param change: root mean square of the change of one.
    :param size: root mean square of one, before.
    """

    part: str
    tokens: int | None
    parameters: int
    change: float
    size: float


def where_moved(
    before: Path, after: Path, tokens: Path, overlay: Path | None, policy: MaskPolicy
) -> list[Moved]:
    """How far each part of a model went between two runs of ours, or two of their checkpoints.

    :param tokens: the TOKENS_DIR of what was trained from ``before`` to ``after``.
    :param overlay: its OVERLAY_DIR, where annotations were laid in.
    :param policy: the mask policy that was trained under; value-only documents are not looked at.
    :raises InputError: when a checkpoint is none, or they are of different models.
    """
    weights = [_load(path) for path in (before, after)]
    shapes = [{name: w.shape for name, w in one.items()} for one in weights]
    if shapes[0] != shapes[1]:
        differ = sorted(
            name for name in {*shapes[0], *shapes[1]} if shapes[0].get(name) != shapes[1].get(name)
        )
        raise InputError(f"{before} and {after} are of different models: {differ[0]} differs")
    return moved_rows(weights[0], weights[1], token_kinds(tokens, overlay, policy))


def moved_rows(before: Weights, after: Weights, kinds: NDArray[np.uint8]) -> list[Moved]:
    """The same of weights by their names.

    :param kinds: uint8 ``[vocabulary]``, the index in :data:`KINDS` of each token; what the rows
        have beyond it is padding, and left out.
    """
    parts: dict[tuple[str, int | None], list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for name, old in before.items():
        pair = old.double(), after[name].double() - old.double()
        if (rows := _ROWS.get(name)) is None:
            parts.setdefault((_part(name), None), []).append(pair)
            continue
        for kind, called in enumerate(KINDS):
            chosen = torch.from_numpy(np.flatnonzero(kinds == kind))
            if len(chosen):
                key = (f"{rows} rows, {called}", len(chosen))
                parts[key] = [(pair[0][chosen], pair[1][chosen])]
    return [
        Moved(
            part,
            count,
            sum(old.numel() for old, _ in pairs),
            _root_mean_square([change for _, change in pairs]),
            _root_mean_square([old for old, _ in pairs]),
        )
        for (part, count), pairs in parts.items()
    ]


def token_kinds(tokens: Path, overlay: Path | None, policy: MaskPolicy) -> NDArray[np.uint8]:
    """What each token of the vocabulary is to a corpus: uint8 ``[vocabulary]``, of :data:`KINDS`.

    As recipes train it: of conversations the last response.

    :raises InputError: when a folder is unfinished, or they do not belong together.
    """
    folder = TokensDir.open(tokens)
    laid = None if overlay is None else OverlayDir.open(overlay, folder)
    tokenizer = folder.tokenizer()
    pieces = tokenizer.pieces() if policy is MaskPolicy.anchored_given else None
    read = np.zeros(folder.vocab_size, bool)
    targets = np.zeros(folder.vocab_size, bool)
    for part in folder.parts:
        indexes = None if laid is None else laid.part(part.index)
        for block in part.blocks():
            woven = interleave(block, indexes)
            mask = woven.mask
            if mask is not None:
                mask = final_run_mask(mask, woven.bounds)
            trained = policy_mask(
                *(woven.ids, mask, policy, tokenizer.control), value_only_fraction=0, pieces=pieces
            )
            read[woven.ids] = True
            targets[woven.ids[trained]] = True
    return np.where(targets, 0, np.where(read, 1, 2)).astype(np.uint8)


def _load(path: Path) -> Weights:
    folder = str(find_checkpoint(path) / "model_and_optim")
    names = [
        name for name in get_checkpoint_metadata(folder).state_dict_metadata if "model." in name[:6]
    ]
    return {
        name.removeprefix("model."): weight
        for name, weight in zip(names, load_keys(folder, names), strict=True)
    }


def _part(name: str) -> str:
    words = name.split(".")
    if "norm" in words[-2]:
        return "norms"
    return words[2].replace("_", "-") if words[0] == "blocks" else words[0]


def _root_mean_square(tensors: list[torch.Tensor]) -> float:
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    return float(flat.square().mean().sqrt())
