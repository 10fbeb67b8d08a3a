"""Manifests: what a folder was made from, by what, and that it is whole.

``manifest.json`` is written last, and atomically: a folder without one is unfinished; it is resumed
or made anew, never trusted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from olmo_anchor.errors import InputError

__all__ = [
    "MANIFEST",
    "FileRecord",
    "Manifest",
    "atomic_write",
    "check_output",
    "file_record",
    "installed_version",
    "prepare_output",
    "read_manifest",
    "sha256_file",
    "versions",
    "write_json",
]

MANIFEST = "manifest.json"
FORMAT = 1

FileRecord = dict[str, Any]
"""``{"path": relative to the manifest's folder or absolute, "size": bytes, "sha256": hex}``"""

_VERSIONED = ("olmo-anchor", "ai2-olmo-core", "torch", "numpy", "tokenizers", "transformers")

_MADE_BY = {
    "tokens": "olmo-anchor tokenize (or adopt)",
    "annotations": "olmo-anchor annotate",
    "overlay": "olmo-anchor overlay",
    "run": "torchrun train_configs/NAME.py",
    "model": "olmo-anchor export",
    "generations": "olmo-anchor generate",
    "evaluation": "olmo-anchor evaluate",
    "world": "olmo-anchor study world",
    "conversations": "olmo-anchor study conversations",
}


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_record(path: Path, root: Path | None = None) -> FileRecord:
    """Size and hash of a file, named relative to ``root`` or, without one, absolutely."""
    name = str(path.relative_to(root)) if root is not None else str(path.resolve())
    return {"path": name, "size": path.stat().st_size, "sha256": sha256_file(path)}


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears at ``path`` whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; numpy scalars and arrays are understood."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    with atomic_write(path) as file:
        file.write(orjson.dumps(value, default=str, option=options))


@dataclass
class Manifest:
    """What ``manifest.json`` says.

    :param kind: what the folder holds: ``tokens``, ``annotations``, ``overlay``, ``run``, ...
    :param inputs: a :data:`FileRecord` for each file that was read.
    :param config: the resolved configuration of the command.
    :param counts: documents, tokens, rejected records and so on.
    :param outputs: a :data:`FileRecord` for each file that was written.
    :param extra: what readers of this kind of folder need to know.
    """

    kind: str
    inputs: list[FileRecord]
    config: Mapping[str, Any]
    counts: Mapping[str, int]
    outputs: list[FileRecord]
    seed: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT
    hash: str = ""
    """SHA-256 of the manifest file itself; set on reading and writing, never stored."""

    def write(self, folder: Path, name: str = MANIFEST) -> None:
        """Stamp versions and time, and write atomically; call it when all else is on disk."""
        self.versions = versions()
        self.created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        stored = asdict(self)
        del stored["hash"]
        write_json(folder / name, stored)
        self.hash = sha256_file(folder / name)


def versions() -> dict[str, str]:
    """Of the packages that decide what a command writes; ``absent`` for what is not installed."""
    return {name: installed_version(name) for name in _VERSIONED}


def installed_version(distribution: str) -> str:
    """``absent`` where it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def read_manifest(folder: Path, kind: str | None = None, name: str = MANIFEST) -> Manifest:
    """Read and check ``folder/manifest.json``.

    :raises InputError: when the folder or the manifest is missing, the manifest is not whole, of an
        unknown format, or not of ``kind``.
    """
    path = folder / name
    command = _MADE_BY.get(kind or "", "the command that makes it")
    if folder.is_file():
        raise InputError(f"{folder}: is a file, not a folder; name the one made by: {command}")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; make it with: {command}")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{folder}: there is no {name}, so the folder is unfinished; run `{command}` again"
            " with --resume, or --overwrite"
        ) from None
    try:
        stored = orjson.loads(raw)
        found_kind, found_format = stored["kind"], stored["format"]
        manifest = Manifest(**stored)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a whole manifest ({error}); run `{command}` again with --overwrite"
        ) from None
    if found_format != FORMAT:
        raise InputError(f"{path}: format {found_format!r}, this version reads {FORMAT}")
    if kind is not None and found_kind != kind:
        raise InputError(f"{folder}: holds {found_kind!r}, not {kind!r}; make one with: {command}")
    manifest.hash = hashlib.sha256(raw).hexdigest()
    return manifest


_MARK = ".olmo-anchor"


def check_output(
    folder: Path,
    *,
    overwrite: bool = False,
    resume: bool | None = None,
    inputs: Sequence[Path] = (),
) -> None:
    """Refuse what :func:`prepare_output` would, and touch nothing: before long work, not after.

    :param resume: None for a command that cannot resume.
    :param inputs: what the command reads; none of it may lie in ``folder``, or be it.

    :raises InputError: when it exists and is not empty and neither flag is given, or both are; when
        it is a file; when ``overwrite`` would remove a folder that no command of ours made.
    """
    for path in inputs:
        if path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{folder}: holds the input {path}; write to another folder")
    if overwrite and resume:
        raise InputError("--overwrite and --resume exclude each other: give one")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, not a folder to write into")
    if folder.is_dir() and any(folder.iterdir()):
        if not ((folder / _MARK).exists() or (folder / MANIFEST).exists()):
            raise InputError(
                f"{folder}: was not made by olmo-anchor, so it is left alone; name another folder"
            )
        if not (overwrite or resume):
            finishes = "" if resume is None else "--resume finishes it, "
            raise InputError(
                f"{folder}: exists and is not empty; {finishes}--overwrite replaces it"
            )


def prepare_output(
    folder: Path,
    *,
    overwrite: bool = False,
    resume: bool | None = None,
    inputs: Sequence[Path] = (),
) -> None:
    """Make ``folder`` ready to be written. Call it once the inputs are known to be good.

    :raises InputError: as :func:`check_output`, whose arguments it has.
    """
    check_output(folder, overwrite=overwrite, resume=resume, inputs=inputs)
    if overwrite and folder.is_dir() and any(folder.iterdir()):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
