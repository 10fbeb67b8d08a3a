"""What ``--model NAME=...`` names: a model that is to be sampled, or answers that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmo_anchor.errors import InputError

__all__ = ["Given", "parse_models", "parse_of_arms"]

_ANSWERS = ("generations.jsonl", "scores.jsonl", "partitions.jsonl")
_FORM = "write NAME=MODEL_DIR or NAME=GENERATIONS.jsonl"


@dataclass(frozen=True)
class Given:
    """:param model: a folder, or the name that a server gives a model; None where the answers are
        there.
    :param answers: a generations file, or one of NoveltyBench's; None where it is to be made.
    """

    name: str
    model: str | None = None
    answers: Path | None = None


def parse_models(given: Sequence[str], *, served: bool = False) -> dict[str, Given]:
    """``NAME=PLACE`` each, in order.

    A folder with a ``config.json`` is a model; any other holds answers: ``generations.jsonl``, or
    what NoveltyBench made of it.

    :param served: names that are neither file nor folder are models of a server.
    :raises InputError: when one is not of this form, or a name is given twice or is no file name.
    """
    models: dict[str, Given] = {}
    for one in given:
        name, equals, place = one.partition("=")
        if not (name and equals and place):
            raise InputError(f"--model {one}: {_FORM}")
        if name in models:
            raise InputError(f"--model {name}=...: this name is given twice")
        if name != Path(name).name or name.startswith("."):
            raise InputError(f"--model {name}=...: files are named so; leave out slashes and dots")
        models[name] = _given(name, place, served)
    if not models:
        raise InputError(f"no --model was given: {_FORM}")
    return models


def parse_of_arms(given: Sequence[str], arms: Sequence[str], option: str) -> dict[str, Path]:
    """``NAME=PLACE`` each, or ``PLACE`` for all arms that have none of their own.

    :param option: for errors, such as ``--before``.
    :raises InputError: when one arm is given two, or there is nothing at a place.
    """
    common: list[Path] = []
    own: dict[str, Path] = {}
    for one in given:
        name, equals, place = one.partition("=")
        path = Path(place) if equals and name in arms else Path(one)
        if not path.exists():
            raise InputError(
                f"{option} {one}: there is nothing at {path}; write PLACE or NAME=PLACE, with the "
                f"name of a --model ({', '.join(arms)})"
            )
        if path == Path(one):
            common.append(path)
        elif name in own:
            raise InputError(f"{option} {name}=...: this name is given twice")
        else:
            own[name] = path
    if len(common) > 1:
        raise InputError(f"{option} {common[1]}: a second one for all; write NAME={common[1]}")
    return {**dict.fromkeys(arms, *common), **own} if common else own


def _given(name: str, place: str, served: bool) -> Given:
    path = Path(place)
    if not path.is_dir():
        if served and not path.exists() and path.suffix != ".jsonl":
            return Given(name, model=place)
        return Given(name, answers=path)
    if (path / "config.json").is_file():
        return Given(name, model=place)
    # The last that NoveltyBench's scripts made holds all of the others.
    held = [path / file for file in _ANSWERS if (path / file).is_file()]
    best = next((file for file in held if file.name != "generations.jsonl"), None)
    return Given(name, answers=best or path / "generations.jsonl")
