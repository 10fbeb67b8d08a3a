"""The commands of this installation, and the clone whose recipes and suites they name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from olmo_anchor.errors import InputError

__all__ = ["REPOSITORY", "anywhere", "check_clone", "commit", "olmo_anchor"]

REPOSITORY = Path(__file__).resolve().parents[3]
_MODULE = ("-m", "olmo_anchor.cli")


def check_clone(what: str) -> None:
    """:raises InputError: when the package was installed without the recipes that ``what`` runs."""
    if not (REPOSITORY / "train_configs").is_dir():
        raise InputError(
            f"{REPOSITORY}: there are no train_configs/ here; run the {what} from a clone of the "
            "repository, installed with pip install --editable"
        )


def commit(clone: Path = REPOSITORY) -> str:
    """The commit of a clone, with ``+`` where tracked files differ; ``unknown`` outside of git."""
    git = ("git", "-C", str(clone), "describe", "--always", "--exclude=*", "--dirty=+")
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def olmo_anchor(*words: object) -> tuple[str, ...]:
    """The command line of an ``olmo-anchor`` command, by this interpreter's own installation."""
    beside = Path(sys.executable).with_name("olmo-anchor")
    program = (str(beside),) if beside.exists() else (sys.executable, *_MODULE)
    return (*program, *map(str, words))


def anywhere(argv: Sequence[str], places: Mapping[Path, str]) -> list[str]:
    """The same for another environment and other places: what a stage is compared by.

    :param places: folders that the command names, and what they are known as.
    """
    program, words = Path(argv[0]).name, list(argv[1:])
    if tuple(words[:2]) == _MODULE:
        program, words = "olmo-anchor", words[2:]
    for place, name in places.items():
        words = [word.replace(str(place), name) for word in words]
    return [program, *words]
