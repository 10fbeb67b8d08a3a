"""TOKENS_DIRs and OVERLAY_DIRs written by hand, so that tests know every byte."""

from __future__ import annotations

import gzip
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np

from olmo_anchor.corpus.token_files import sampled_sha256
from olmo_anchor.manifest import Manifest, file_record
from olmo_anchor.tokenizer import AnchorTokenizer

Documents = list[list[int]]
Masks = list[list[bool]]
Annotations = dict[int, list[int]]
"""By the position in the token file before which each stands: its ids with both delimiters."""


def write_tokens(
    folder: Path,
    parts: list[Documents],
    tokenizer: AnchorTokenizer,
    masks: list[Masks] | None = None,
    train_turns: str | None = None,
) -> Path:
    folder.mkdir(parents=True)
    tokenizer.save(folder / "tokenizer")
    entries = []
    for number, documents in enumerate(parts):
        ids = folder / f"token_ids_part_{number:04d}.npy"
        np.array([*chain(*documents)], "<u2").tofile(ids)
        ends = np.cumsum([len(document) for document in documents]).tolist()
        csv = folder / f"token_ids_part_{number:04d}.csv.gz"
        with gzip.open(csv, "wt") as file:
            file.writelines(f"{a},{b}\n" for a, b in zip([0, *ends[:-1]], ends, strict=True))
        mask = None
        if masks is not None:
            path = folder / f"labels_mask_part_{number:04d}.npy"
            np.array([*chain(*masks[number])], bool).tofile(path)
            mask = file_record(path, folder)
        entries.append(
            {
                "ids": file_record(ids, folder),
                "mask": mask,
                "csv": file_record(csv, folder),
                "documents": len(documents),
                "tokens": ends[-1],
            }
        )
    extra = {
        "dtype": "uint16",
        "tokenizer_hash": tokenizer.hash,
        "vocab_size": tokenizer.vocab_size,
        "chat": masks is not None,
        "train_turns": train_turns,
        "parts": entries,
    }
    Manifest("tokens", [], {}, {}, [], extra=extra).write(folder)
    return folder


def write_overlay(
    folder: Path,
    tokens: Path,
    parts: list[Documents],
    annotations: list[Annotations],
    tokenizer: AnchorTokenizer,
    every_run_annotated: bool = False,
    masks: list[Masks] | None = None,
) -> Path:
    folder.mkdir(parents=True)
    entries = []
    for number, (documents, laid) in enumerate(zip(parts, annotations, strict=True)):
        length = sum(len(document) for document in documents)
        starts = [*sorted(laid), length]
        lengths = [len(laid[start]) for start in starts[:-1]]
        positions = np.array(starts) + np.cumsum([0, *lengths])
        arrays = {
            "ids": np.array([*chain(*(laid[start] for start in starts[:-1]))], "<u4"),
            "starts": np.array(starts, "<i8"),
            "positions": positions.astype("<i8"),
            "docs": np.cumsum([0, *(len(document) for document in documents)]).astype("<i8"),
        }
        entry = {}
        for name, array in arrays.items():
            path = folder / f"part-{number:04d}.{name}.npy"
            array.tofile(path)
            entry[name] = file_record(path, folder)
        token_file = tokens / f"token_ids_part_{number:04d}.npy"
        entry["token_file"] = {
            **file_record(token_file),
            "sampled_sha256": sampled_sha256(token_file),
        }
        entry["longest_annotation"] = max(lengths, default=0)
        entry["unannotated"] = 0 if masks is None else _unannotated(documents, masks[number], laid)
        entries.append(entry)
    extra = {
        "tokenizer_hash": tokenizer.hash,
        "control": asdict(tokenizer.control),
        "every_run_annotated": every_run_annotated,
        "parts": entries,
    }
    Manifest("overlay", [], {}, {}, [], extra=extra).write(folder)
    return folder


def _unannotated(documents: Documents, masks: Masks, laid: Annotations) -> int:
    """The conversations whose last trained run does not begin with an annotation."""
    count = begin = 0
    flags = [*chain(*masks)]
    for document in documents:
        mask = [0, *flags[begin : begin + len(document)]]
        runs = [begin + k for k in range(len(document)) if mask[k + 1] and not mask[k]]
        count += bool(runs) and runs[-1] not in laid
        begin += len(document)
    return count
