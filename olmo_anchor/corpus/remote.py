"""Folders behind a URL, read in place through fsspec."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from olmo_anchor.errors import InputError

__all__ = ["remote_folder"]


def remote_folder(url: str) -> Path:
    """A folder behind a URL, with as much of :class:`pathlib.Path` as reading takes.

    :raises InputError: when the file system is not known, or what it needs is not installed.
    """
    try:
        from upath import UPath
    except ImportError:
        raise InputError(
            f"{url}: reading a URL needs universal_pathlib: pip install 'olmo-anchor[annotate]'"
        ) from None
    try:
        folder = UPath(url)
        folder.exists()
    except (ImportError, ValueError, OSError) as error:
        raise InputError(f"{url}: cannot be reached: {error}") from None
    return cast(Path, folder)
