"""What reading an annotated corpus costs, beside OLMo-core reading it from stock files.

    python benchmarks/read.py --tokenizer tokenizer.json [--tokens 200_000_000]

Writes a corpus and an overlay of a seed: documents of 4096 tokens with 53 annotations each. The
stock reader (``ConcatAndChunkInstanceSource`` over ``NumpyDocumentSource``) reads the same stream
with the annotations in it, and a mask beside it, as a pipeline without overlays would have stored
them. All read random instances in one process, in turns, each in an order of its own: none finds in
a cache what another has read. Medians of CPU time.

- reader: ``source[i]``, without a policy. The stock one gives uint32 arrays, ours int64 tensors.
- reader, as tensors: the same and what OLMo-core's data loader does to it next, so that both give
  int64 tensors, which is what a collator takes.
- loader: batches of OLMo-core's data loader, without threads; the mask is stored for the stock
  reader, the corpus' own for ours.
- loader, anchored: the same, and ours makes the mask of a policy that tells keys from values.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from olmo_core.data import DataCollator, TokenizerConfig
from olmo_core.data.composable import (
    ComposableDataLoader,
    ConcatAndChunkInstanceSource,
    NumpyDocumentSourceConfig,
)
from olmo_core.data.composable.utils import as_tensor

from olmo_anchor.corpus.token_files import sampled_record
from olmo_anchor.manifest import Manifest, file_record
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.collator import AnchorCollator
from olmo_anchor.training.source import InterleavedDocumentSourceConfig

LENGTH = 4096
ROWS = 8
EVERY = 77
"""Tokens of the interleaved stream for each annotation, on average."""
SEED = 0


def write_corpus(folder: Path, tokens: int, tokenizer: AnchorTokenizer) -> int:
    """``tokens/``, ``overlay/``, and the stock files of the same stream; how many annotations.

    Memory holds the corpus.
    """
    rng = np.random.default_rng(SEED)
    control, documents = tokenizer.control, tokens // LENGTH
    per = LENGTH // EVERY
    # Annotation k of a document: opening, key, colon, four tokens of value, newline, key, colon,
    # value, closing: 12 tokens.
    shape = np.array([1, 0, 2, 0, 0, 0, 0, 3, 0, 2, 0, 4])
    structure = {1: control.open, 2: control.colon, 3: control.newline, 4: control.close}
    text = LENGTH - per * len(shape)
    one = rng.integers(1000, 90_000, documents * text, dtype=np.uint32)
    one[text - 1 :: text] = control.end_of_text
    laid = rng.integers(1000, 90_000, (documents * per, len(shape)), dtype=np.uint32)
    for kind, token in structure.items():
        laid[:, shape == kind] = token
    gaps = rng.random((documents, per)).argsort(axis=1).argsort(axis=1)  # distinct, unordered
    within = np.sort(gaps * (text // per) + rng.integers(0, text // per, gaps.shape), axis=1)
    within[:, 0] = 0
    starts = (within + np.arange(documents)[:, None] * text).reshape(-1)
    positions = starts + len(shape) * np.arange(len(starts))
    before = np.zeros(len(one) + 1, bool)
    before[starts] = True
    place = np.repeat(starts, len(shape))
    both = np.insert(one, place, laid.reshape(-1))
    mask = rng.random(len(both)) < 0.9

    arrays = {
        "tokens/token_ids_part_0000.npy": one,
        "stock/ids.npy": both,
        "stock/mask.npy": mask,
        "overlay/part-0000.ids.npy": laid,
        "overlay/part-0000.starts.npy": np.append(starts, len(one)).astype("<i8"),
        "overlay/part-0000.positions.npy": np.append(positions, len(both)).astype("<i8"),
        "overlay/part-0000.docs.npy": np.arange(documents + 1, dtype="<i8") * text,
    }
    for name, array in arrays.items():
        (folder / name).parent.mkdir(exist_ok=True)
        array.tofile(folder / name)
    _manifests(folder, tokenizer, documents, len(one), len(shape))
    return len(starts)


def _manifests(
    folder: Path, tokenizer: AnchorTokenizer, documents: int, tokens: int, longest: int
) -> None:
    at, overlay = folder / "tokens", folder / "overlay"
    tokenizer.save(at / "tokenizer")
    ids = at / "token_ids_part_0000.npy"
    csv = at / "token_ids_part_0000.csv.gz"
    csv.touch()  # reading does not look at it
    part = {
        **{"ids": sampled_record(ids, at), "mask": None, "csv": file_record(csv, at)},
        **{"documents": documents, "tokens": tokens},
    }
    extra = tokenizer.facts()
    Manifest(
        *("tokens", [], {}, {}, []),
        extra={
            **extra,
            **{"dtype": "uint32", "chat": False},
            **{"train_turns": None, "parts": [part]},
        },
    ).write(at)
    laid = {
        name: file_record(overlay / f"part-0000.{name}.npy", overlay)
        for name in ("ids", "starts", "positions", "docs")
    }
    entry = {**laid, "token_file": sampled_record(ids)}
    entry.update(longest_annotation=longest, unannotated=0)
    Manifest("overlay", [], {}, {}, [], extra={**extra, "parts": [entry]}).write(overlay)


Reader = Callable[[], object]


def medians(readers: dict[str, Reader], rounds: int, times: int) -> dict[str, float]:
    """Microseconds of CPU of one call, the readers in turns within each round."""
    spent: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            begin = time.process_time()
            for _ in range(times):
                read()
            spent[name].append((time.process_time() - begin) / times)
    return {name: statistics.median(found) * 1e6 for name, found in spent.items()}


def instances(source: ConcatAndChunkInstanceSource, seed: int) -> Reader:
    order = iter(np.random.default_rng(seed).permutation(len(source)).tolist())
    return lambda: source[next(order)]


def tensors(source: ConcatAndChunkInstanceSource, seed: int) -> Reader:
    """Instances, and what OLMo-core's data loader does to each before it is collated."""
    order = iter(np.random.default_rng(seed).permutation(len(source)).tolist())
    return lambda: {name: as_tensor(read) for name, read in source[next(order)].items()}


def batches(
    source: ConcatAndChunkInstanceSource,
    collator: DataCollator,
    config: TokenizerConfig,
    at: Path,
    seed: int,
) -> Reader:
    loader = ComposableDataLoader(
        source,
        collator=collator,
        tokenizer=config,
        work_dir=at,
        global_batch_size=ROWS * LENGTH,
        seed=seed,
        num_threads=0,
        display_source_visualization=False,
    )
    loader.reshuffle(epoch=1)
    found = iter(loader)
    return lambda: next(found)


def same(a: NDArray[np.int64], b: NDArray[np.int64]) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--tokens", type=int, default=200_000_000)
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
        annotations = write_corpus(folder, options.tokens, tokenizer)
        ours = InterleavedDocumentSourceConfig(str(folder / "tokens"), str(folder / "overlay"))
        stock = NumpyDocumentSourceConfig(
            source_paths=[str(folder / "stock/ids.npy")],
            label_mask_paths=[str(folder / "stock/mask.npy")],
            tokenizer=config,
        )
        starts = []
        for _ in range(7):
            begin = time.process_time()
            (source,) = ours.build(folder)
            first = source.get_token_range(0, LENGTH)
            next(iter(source.get_document_offsets()))
            starts.append(time.process_time() - begin)
        (stored,) = stock.build(folder)
        assert same(first["input_ids"], stored.get_token_range(0, LENGTH)["input_ids"])

        chunks = {
            name: ConcatAndChunkInstanceSource(one, sequence_length=LENGTH, work_dir=folder / name)
            for name, one in (("stock", stored), ("ours", source))
        }
        a, b = chunks["stock"], chunks["ours"]
        for k in np.random.default_rng(SEED).permutation(len(b))[:100].tolist():
            assert same(a[k]["input_ids"], b[k]["input_ids"])
        ids = {"pad_token_id": tokenizer.pad_id, "vocab_size": tokenizer.vocab_size}
        anchored = AnchorCollator(control=tokenizer.control, policy=MaskPolicy.anchored, **ids)
        plain = DataCollator(**ids)
        took = medians(
            {
                "reader, stock": instances(a, 1),
                "reader, ours": instances(b, 2),
                "reader, stock, as tensors": tensors(a, 3),
                "reader, ours, as tensors": tensors(b, 4),
            },
            options.rounds,
            min(500, len(b) // options.rounds),
        )
        took |= medians(
            {
                "loader, stock": batches(a, plain, config, folder, 5),
                "loader, ours": batches(b, plain, config, folder, 6),
                "loader, ours, anchored": batches(b, anchored, config, folder, 7),
            },
            options.rounds,
            min(60, len(b) // ROWS // options.rounds),
        )
        print(
            f"{len(b) * LENGTH / 1e6:.0f} M tokens, {annotations / 1e6:.2f} M annotations, "
            f"{time.strftime('%F')}; a reader reads {LENGTH} tokens, a loader {ROWS} x {LENGTH}\n"
        )
    print(f"{'':34}{'CPU us':>8}{'x stock':>9}")
    for name, spent in took.items():
        stock_took = took[name.replace("ours", "stock").removesuffix(", anchored")]
        print(f"{name:34}{spent:8.0f}{stock_took / spent:9.2f}")
    print(f"\nstart-up of ours: {statistics.median(starts) * 1e3:.0f} ms of CPU")


if __name__ == "__main__":
    main()
