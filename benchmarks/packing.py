"""What packed instances of short documents cost, beside OLMo-core's own packing source.

    python benchmarks/packing.py --tokenizer tokenizer.json [--documents 2_000_000]

Writes conversations of a seed, of about 200 tokens: a prompt, an annotation of 12 tokens, a
response, and the label masks. The stock source (``PackingInstanceSource`` over
``NumpyDocumentSource``) reads the same stream with the annotations in it, and a mask beside it, as
``olmo-anchor materialise`` writes them. Ours reads them from the overlay, and from these files too.

- index: from folders to a source that knows its instances, processes that it starts included. Ours
  looks besides for documents without a target.
- bins: the packing alone, of the same lengths.
- reader: the same random instances, in one process, in turns; medians of CPU time.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import (
    InstanceSource,
    NumpyDocumentSourceConfig,
    PackingInstanceSourceConfig,
)
from olmo_core.data.utils import InstancePacker, get_document_lengths

from olmo_anchor.corpus.adopt import write_bounds
from olmo_anchor.corpus.token_files import sampled_record
from olmo_anchor.manifest import Manifest, file_record
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.packing import PackedInstanceSourceConfig, best_fit
from olmo_anchor.training.source import InterleavedDocumentSourceConfig

LENGTH = 4096
ANNOTATION = 12
SEED = 0


def write_corpus(folder: Path, documents: int, tokenizer: AnchorTokenizer) -> NDArray[np.int64]:
    """``tokens/`` with ``overlay/``, and ``stock/``, the same stream in one; the lengths in it.

    Memory holds the corpus.
    """
    rng = np.random.default_rng(SEED)
    control = tokenizer.control
    prompts = rng.integers(10, 90, documents)
    responses = np.minimum(rng.lognormal(4.6, 0.7, documents).astype(np.int64) + 8, 3000)
    lengths = prompts + ANNOTATION + responses
    # Prompt, annotation, response, prompt, ...
    kinds = np.tile(np.array([0, 1, 2], np.uint8), documents)
    pieces = np.stack((prompts, np.full(documents, ANNOTATION), responses), axis=1).reshape(-1)
    kind = kinds.repeat(pieces)
    both = rng.integers(1000, 90_000, len(kind), dtype=np.uint32)
    both[np.cumsum(lengths) - 1] = control.end_of_text
    # Opening, key, colon, four tokens of value, newline, key, colon, value, closing.
    shape = np.array([1, 0, 2, 0, 0, 0, 0, 3, 0, 2, 0, 4])
    laid = both[kind == 1].reshape(documents, ANNOTATION)
    for number, token in enumerate(
        (control.open, control.colon, control.newline, control.close), start=1
    ):
        laid[:, shape == number] = token
    both[kind == 1] = laid.reshape(-1)
    docs = np.concatenate(([0], np.cumsum(lengths - ANNOTATION)))
    starts = docs[:-1] + prompts

    for name in ("tokens", "overlay", "stock"):
        (folder / name).mkdir()
    corpus = kind != 1
    both[corpus].tofile(folder / "tokens/token_ids_part_0000.npy")
    (kind[corpus] == 2).tofile(folder / "tokens/labels_mask_part_0000.npy")
    both.tofile(folder / "stock/token_ids_part_0000.npy")
    (kind > 0).tofile(folder / "stock/labels_mask_part_0000.npy")
    arrays = {
        "ids": laid,
        "starts": np.append(starts, docs[-1]).astype("<i8"),
        "positions": np.append(starts + ANNOTATION * np.arange(documents), len(both)).astype("<i8"),
        "docs": docs.astype("<i8"),
    }
    for name, array in arrays.items():
        array.tofile(folder / f"overlay/part-0000.{name}.npy")
    _tokens_manifest(folder / "tokens", tokenizer, docs, interleaved=False)
    bounds = docs + ANNOTATION * np.arange(documents + 1)
    _tokens_manifest(folder / "stock", tokenizer, bounds, interleaved=True)
    _overlay_manifest(folder, tokenizer)
    return lengths


def _tokens_manifest(
    at: Path, tokenizer: AnchorTokenizer, docs: NDArray[np.int64], *, interleaved: bool
) -> None:
    tokenizer.save(at / "tokenizer")
    csv = at / "token_ids_part_0000.csv.gz"
    write_bounds(csv, docs)
    part = {
        "ids": sampled_record(at / "token_ids_part_0000.npy", at),
        "mask": file_record(at / "labels_mask_part_0000.npy", at),
        "csv": file_record(csv, at),
        "documents": len(docs) - 1,
        "tokens": int(docs[-1]),
    }
    extra = {
        **tokenizer.facts(),
        "dtype": "uint32",
        "chat": True,
        "train_turns": "final",
        "interleaved": interleaved,
        "parts": [part],
    }
    Manifest("tokens", [], {}, {}, [], extra=extra).write(at)


def _overlay_manifest(folder: Path, tokenizer: AnchorTokenizer) -> None:
    at = folder / "overlay"
    entry = {
        name: file_record(at / f"part-0000.{name}.npy", at)
        for name in ("ids", "starts", "positions", "docs")
    }
    entry["token_file"] = sampled_record(folder / "tokens/token_ids_part_0000.npy")
    entry.update(longest_annotation=ANNOTATION, unannotated=0)
    Manifest("overlay", [], {}, {}, [], extra={**tokenizer.facts(), "parts": [entry]}).write(at)


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, and seconds of CPU, of ended children too, and on the clock."""
    before, begin = os.times(), time.perf_counter()
    done = work()
    after, end = os.times(), time.perf_counter()
    return done, sum(after[:4]) - sum(before[:4]), end - begin


def read_times(sources: dict[str, InstanceSource], rounds: int, times: int) -> dict[str, float]:
    """Microseconds of CPU of one instance, the sources in turns within each round."""
    order = np.random.default_rng(SEED).permutation(len(sources["stock"])).tolist()
    spent: dict[str, list[float]] = {name: [] for name in sources}
    for round_ in range(rounds):
        for name, source in sources.items():
            begin = time.process_time()
            for k in order[round_ * times : (round_ + 1) * times]:
                source[k]
            spent[name].append((time.process_time() - begin) / times)
    return {name: statistics.median(found) * 1e6 for name, found in spent.items()}


def check(sources: dict[str, InstanceSource], end_of_text: int) -> None:
    """Ours is the same from both; stock has documents of the same lengths in every row."""

    def lengths(source: InstanceSource, k: int) -> list[int]:
        ids = torch.as_tensor(source[k]["input_ids"])
        return get_document_lengths(ids, end_of_text).tolist()

    assert len({len(sources[name]) for name in ("stock", "overlay", "materialised")}) == 1
    for k in range(0, len(sources["stock"]), len(sources["stock"]) // 200):
        one, other = sources["overlay"][k], sources["materialised"][k]
        for name in ("input_ids", "label_mask"):
            assert torch.equal(one[name], other[name])
        assert lengths(sources["overlay"], k) == lengths(sources["stock"], k)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--documents", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    logging.disable(logging.WARNING)

    tokenizer = AnchorTokenizer.load(options.tokenizer)
    config = TokenizerConfig(
        vocab_size=tokenizer.vocab_size,
        eos_token_id=tokenizer.control.end_of_text,
        pad_token_id=tokenizer.pad_id,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lengths = write_corpus(folder, options.documents, tokenizer)
        tokens, overlay, stock = (str(folder / name) for name in ("tokens", "overlay", "stock"))
        numpy_files = NumpyDocumentSourceConfig(
            source_paths=[f"{stock}/token_ids_part_0000.npy"],
            label_mask_paths=[f"{stock}/labels_mask_part_0000.npy"],
            tokenizer=config,
        )
        configs = {
            "stock": PackingInstanceSourceConfig([numpy_files], LENGTH, config),
            "overlay": PackedInstanceSourceConfig(
                [InterleavedDocumentSourceConfig(tokens, overlay)], LENGTH, config
            ),
            "standard": PackedInstanceSourceConfig(
                [InterleavedDocumentSourceConfig(tokens, overlay, annotations=False)],
                LENGTH,
                config,
            ),
            "materialised": PackedInstanceSourceConfig(
                [InterleavedDocumentSourceConfig(stock)], LENGTH, config
            ),
        }
        built = {
            name: timed(lambda name=name, one=one: one.build(folder / name))
            for name, one in configs.items()
        }
        sources: dict[str, InstanceSource] = {name: done[0] for name, done in built.items()}
        check(sources, tokenizer.control.end_of_text)
        instances = len(sources["stock"])
        reads = read_times(sources, options.rounds, min(100, instances // options.rounds))

    falling = -np.sort(-lengths)
    bounds = np.stack((np.zeros_like(falling), falling), axis=1).astype(np.uint64)
    (stock_bins, _, _), packer, _ = timed(lambda: InstancePacker(LENGTH).pack_documents(bounds))
    bins, ours, _ = timed(lambda: best_fit(falling, LENGTH))
    assert [*map(len, stock_bins)] == np.bincount(bins).tolist()

    print(
        f"{options.documents / 1e6:.2f} M documents, {lengths.mean():.0f} tokens each, in "
        f"{instances:,} instances of {LENGTH}, {time.strftime('%F')}\n"
    )
    print(f"{'':36}{'CPU s':>8}{'x stock':>9}{'clock s':>9}")
    for name, (_, cpu, clock) in built.items():
        print(f"{'index, ' + name:36}{cpu:8.2f}{built['stock'][1] / cpu:9.2f}{clock:9.2f}")
    print(f"{'bins, InstancePacker':36}{packer:8.2f}{1:9.2f}")
    print(f"{'bins, ours':36}{ours:8.2f}{packer / ours:9.2f}")
    print(f"\n{'':36}{'CPU us':>8}{'x stock':>9}")
    for name, took in reads.items():
        print(f"{'reader, ' + name:36}{took:8.0f}{reads['stock'] / took:9.2f}")


if __name__ == "__main__":
    main()
