"""The files under a source: reading a range, and what their contents are known by."""

from __future__ import annotations

import hashlib
import os
from io import FileIO
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmo_anchor.corpus.overlay_files import OverlayDir
from olmo_anchor.corpus.token_files import Part
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import sha256_file

__all__ = ["fingerprint", "index_fingerprint", "pread", "pread_ranges", "verify"]


def pread(file: FileIO, dtype: np.dtype[Any], begin: int, end: int) -> NDArray[Any]:
    """Items ``[begin, end)`` of a headerless file, read and not mapped: a cold mapping is ten times
    slower, and crashes where this raises.

    :raises WorkFailed: when the file ends before.
    """
    wanted, offset = (end - begin) * dtype.itemsize, begin * dtype.itemsize
    pieces: list[bytes] = []
    while wanted > 0:
        piece = os.pread(file.fileno(), wanted, offset)
        if not piece:
            raise WorkFailed(f"{file.name!s}: ends before item {end}: it changed during the run")
        pieces.append(piece)
        wanted -= len(piece)
        offset += len(piece)
    return np.frombuffer(b"".join(pieces), dtype)


def pread_ranges(
    file: FileIO, dtype: np.dtype[Any], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[Any]:
    """As :func:`pread`, several ranges one after the other."""
    sizes, offsets = (ends - begins) * dtype.itemsize, begins * dtype.itemsize
    whole = b"".join(map(os.pread, repeat(file.fileno()), sizes.tolist(), offsets.tolist()))
    if len(whole) == sizes.sum():
        return np.frombuffer(whole, dtype)
    # Cut short: this raises, or asks again for what was left.
    ranges = zip(begins.tolist(), ends.tolist(), strict=True)
    return np.concatenate([pread(file, dtype, *range_) for range_ in ranges])


def fingerprint(
    tokens: TokensDir,
    part: Part,
    overlay: OverlayDir | None,
    *,
    laid_in: bool,
    annotations: bool,
    final_only: bool,
    leaves_out: bool,
) -> str:
    """What one token file gives, known by hashes that the manifests tell.

    :param laid_in: the overlay's annotations are in what is read.
    :param annotations: what was asked for; a materialised folder has them without an overlay.
    :param final_only: only final runs are trained,
    :param leaves_out: and those only where an annotation stands.
    """
    mask = tokens.manifest.extra["parts"][part.index].get("mask")
    hashes = [part.record["sha256"], mask["sha256"] if mask else None]
    if overlay is not None:
        entry = overlay.manifest.extra["parts"][part.index]
        # Where annotations stand decides what is trained, also where they are not laid in.
        names = ("ids", "starts", "positions") if laid_in else ("starts",) * leaves_out
        hashes += [entry[name]["sha256"] for name in names]
    facts = ("InterleavedDocumentSource", *hashes, annotations, final_only)
    if laid_in and final_only and not leaves_out:
        facts += ("unannotated conversations are trained",)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def index_fingerprint(
    source: str, tokens: TokensDir, part: Part, overlay: OverlayDir | None
) -> str:
    """What an index of one token file's documents can be made of, known by hashes.

    :param source: the source's own :func:`fingerprint`.
    """
    hashes = [tokens.manifest.extra["parts"][part.index]["csv"]["sha256"]]
    if overlay is not None:
        entry = overlay.manifest.extra["parts"][part.index]
        hashes += [entry[name]["sha256"] for name in ("starts", "positions", "docs")]
    return hashlib.sha256(repr((source, *hashes)).encode()).hexdigest()


def verify(tokens: TokensDir, overlay: OverlayDir | None) -> None:
    """Compare the hash of every file with its manifest's.

    :raises InputError: naming the first that differs.
    """
    records = [
        (tokens.folder, entry[name])
        for entry in tokens.manifest.extra["parts"]
        for name in ("ids", "mask")
        if entry.get(name)
    ]
    if overlay is not None:
        records += [
            (overlay.folder, entry[name])
            for entry in overlay.manifest.extra["parts"]
            for name in ("ids", "starts", "positions", "docs")
        ]
    for folder, record in records:
        path = folder / record["path"]
        if sha256_file(path) != record["sha256"]:
            raise InputError(
                f"{path}: changed since its manifest was written (another SHA-256); make "
                f"{folder} again"
            )
