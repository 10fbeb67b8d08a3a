"""The checkpoints in a run's folder: which are whole, and what a full disk is told as.

A checkpoint is written under ``stepN-tmp``, renamed to ``stepN``, and gets ``.metadata.json`` last:
a process that is killed leaves one that is not taken for a checkpoint. Files of one that was
finished can still be cut short, by a machine that lost power or by a copy that was broken off.
"""

from __future__ import annotations

import errno
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from olmo_core.distributed.checkpoint import get_checkpoint_metadata
from olmo_core.train import Checkpointer

from olmo_anchor.errors import WorkFailed

__all__ = ["cannot_write", "damage", "full_disk_is_told", "last_whole", "remove_torn"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def last_whole(folder: Path) -> Path | None:
    """The last checkpoint of a run that can be loaded; those passed over are named on stderr.

    None where none was ever finished.

    :raises WorkFailed: when checkpoints were finished, and none of them is whole.
    """
    finished = [Path(path) for _, path in Checkpointer.find_checkpoints(str(folder))]
    damaged: list[str] = []
    for checkpoint in sorted(finished, key=lambda path: int(path.name[4:]), reverse=True):
        reason = damage(checkpoint)
        if reason is None:
            for line in damaged:
                print(f"note: {line}; goes on from {checkpoint.name}", file=sys.stderr)
            return checkpoint
        damaged.append(f"{checkpoint}: damaged: {reason}")
    if damaged:
        raise WorkFailed(
            f"{'; '.join(damaged)}. No other checkpoint is there; bring the file back, or delete "
            f"{folder} to begin again"
        )
    return None


def damage(checkpoint: Path) -> str | None:
    """What is missing from a finished checkpoint, or None.

    Lengths are compared with the checkpoint's index; no weights are read. A changed byte is not
    found: neither OLMo-core nor torch compares checksums.
    """
    for state in sorted((checkpoint / "train").glob("rank*.pt")):
        if not zipfile.is_zipfile(state):  # the directory of a zip file is its end
            return f"{state.relative_to(checkpoint)} is cut short"
    try:
        index = get_checkpoint_metadata(str(checkpoint / "model_and_optim"))
    except Exception as error:  # unpickling raises whatever the bytes say
        return f"model_and_optim/.metadata cannot be read: {type(error).__name__}: {error}"
    needed: dict[str, int] = {}
    for piece in (index.storage_data or {}).values():
        end = piece.offset + piece.length
        needed[piece.relative_path] = max(end, needed.get(piece.relative_path, 0))
    for name, size in sorted(needed.items()):
        path = checkpoint / "model_and_optim" / name
        found = path.stat().st_size if path.exists() else 0
        if found < size:
            return f"model_and_optim/{name} has {found:,} of {size:,} bytes"
    return None


def remove_torn(folder: Path, last: Path | None) -> None:
    """Delete what processes left that were killed while they wrote a checkpoint, or deleted one.

    :param last: the checkpoint to go on from. A folder of a later step may be all that is left of a
        checkpoint that a user copied, and stays until the run writes that step itself.
    """
    for path in folder.glob("step*"):
        found = re.fullmatch(r"step(\d+)(-tmp)?", path.name)
        if found is None or Checkpointer.dir_is_checkpoint(str(path)):
            continue
        if found[2] or (last is not None and int(found[1]) < int(last.name[4:])):
            shutil.rmtree(path, ignore_errors=True)


def cannot_write(folder: Path, what: str, error: BaseException) -> WorkFailed:
    """What to say when something could not be written into a run's folder."""
    # The cause is somewhere in a traceback that OLMo-core put into the text of the error.
    causes = re.findall(r"^(?:OSError|PermissionError): (.+)$", str(error), re.MULTILINE)
    first = str(error).strip().partition("\n")[0]
    reason = causes[0] if causes else f"{type(error).__name__}: {first}"
    free = shutil.disk_usage(folder).free / 1e9
    return WorkFailed(
        f"{folder}: {what} could not be written: {reason} ({free:,.1f} GB free there). Checkpoints "
        "from before are as they were; make room, and the same command goes on from the last"
    )


@contextmanager
def full_disk_is_told(folder: Path) -> Iterator[None]:
    """Says in one line that there was no room for something else than a checkpoint."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise cannot_write(folder, str(error.filename or "a file"), error) from error
