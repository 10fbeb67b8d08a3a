"""Generations files as ``generate`` writes them, or made elsewhere in the same form, read once and
with care: what is missing or counted twice would change every number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.engines.identity import model_hash
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import Manifest, read_manifest, sha256_file

__all__ = ["NotMeasured", "manifest_of", "model_of", "read_generations"]


def _is_prompt(value: Any) -> bool:
    if isinstance(value, list) and value:
        return all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in value)
    return isinstance(value, str)


def _is_annotation(value: Any) -> bool:
    pairs = value if isinstance(value, list) else [value] * (value is not None)
    return all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        for pair in pairs
    )


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "prompt_id": (lambda value: isinstance(value, str | int), "neither text nor a number"),
    "prompt": (_is_prompt, "neither text nor a list of messages"),
    "sample": (lambda value: isinstance(value, int), "not a number"),
    "response": (lambda value: value is None or isinstance(value, str), "neither text nor null"),
    "annotation": (_is_annotation, "not a list of pairs"),
    "no_annotation": (lambda value: isinstance(value, bool), "neither true nor false"),
    "unclosed": (lambda value: isinstance(value, bool), "neither true nor false"),
    "finish_reason": (lambda value: isinstance(value, str), "not text"),
}


def read_generations(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a generations file.

    :raises InputError: when it is missing, empty, unfinished or not what its manifest says; when a
        line is no generation, or one that stood in an earlier line, with its number.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such generations file; make it with: olmo-anchor generate")
    _check_finished(path)
    count = 0
    lines: dict[tuple[str, int], int] = {}
    repeated: list[tuple[int, str, int]] = []
    with path.open("rb") as file:
        for count, line in enumerate(file, 1):
            record = _parse(line, f"{path}:{count}")
            key = str(record["prompt_id"]), record["sample"]
            if lines.setdefault(key, count) != count:
                repeated.append((count, *key))
                continue
            yield record
    if count == 0:
        raise InputError(f"{path}: empty; make it again with: olmo-anchor generate")
    if repeated:
        at, prompt, sample = repeated[0]
        raise InputError(
            f"{path}:{at}: sample {sample} of prompt {prompt!r} stood in line "
            f"{lines[prompt, sample]}; {len(repeated)} of {count} lines are such repetitions: "
            "number the samples of a prompt, or leave them out"
        )


def manifest_of(path: Path) -> Manifest | None:
    """What ``generate`` put beside the file; None beside a file that was made elsewhere."""
    beside = path.with_name(f"{path.stem}.manifest.json")
    return read_manifest(path.parent, "generations", beside.name) if beside.is_file() else None


class NotMeasured(Exception):
    """What is there does not give a number that the suite asks for, and why."""


def model_of(path: Path) -> Path:
    """The model folder that made a generations file, as it was then.

    :raises NotMeasured: when no manifest names it, or it is gone or has changed.
    """
    manifest = manifest_of(path)
    if manifest is None:
        raise NotMeasured(f"{path}: no manifest beside it names its model")
    made_by = manifest.config["model"]
    model = Path(made_by["path"])
    if not model.is_dir():
        raise NotMeasured(f"{model}: is not there any more; it made {path}")
    if model_hash(model) != made_by["sha256"]:
        raise NotMeasured(f"{model}: has changed since it made {path}")
    return model


def _check_finished(path: Path) -> None:
    manifest = manifest_of(path)
    if manifest is None and path.with_name(f"{path.stem}.running.json").is_file():
        raise InputError(
            f"{path}: unfinished; give the same olmo-anchor generate once more, with --resume"
        )
    if manifest is not None and manifest.outputs[0]["sha256"] != sha256_file(path):
        raise InputError(
            f"{path}: has changed since {path.stem}.manifest.json was written; make it again with "
            "olmo-anchor generate --overwrite, or evaluate what it is now under another name"
        )


def _parse(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: not a generation: not an object")
    for name, (is_right, wrong) in _FIELDS.items():
        if name not in record:
            raise InputError(f"{where}: not a generation: it has no {name!r}")
        if not is_right(record[name]):
            raise InputError(f"{where}: not a generation: `{name}` is {wrong}")
    if not isinstance(record.get("prompt_fields") or {}, dict):
        raise InputError(f"{where}: not a generation: `prompt_fields` is not an object")
    return record
