"""A story world is read from its YAML file, and refused by name where it is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from olmo_anchor.annotation import Tag
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import read_manifest
from olmo_anchor.study.world.check import check_story, check_words, fault_of_text, fault_of_value
from olmo_anchor.study.world.file import Attribute, Corpus, Naming, WorldFile
from olmo_anchor.study.world.frames import Frame
from olmo_anchor.study.yaml_file import read_yaml

__all__ = ["built_in", "read_world", "world_of"]

RESERVED = ("id", "prompt", "messages", "kind", "styled", "open", "inside", "outside")
"""No attribute has such a name: prompts and labels have fields and kinds of these."""


@cache
def built_in() -> WorldFile:
    return read_world(Path(__file__).with_name("story_world.yaml"))


def read_world(path: Path) -> WorldFile:
    """
    :param path: a YAML file, or a world's ``world.json``.
    :raises InputError: when it is missing, is no such file, or stories of it could not be told
        apart; names the file, the field and the word or value.
    """
    try:
        return _read(_with_text_keys(read_yaml(path)))
    except _Fault as fault:
        raise InputError(f"{path}: {fault}") from None


def world_of(folder: Path) -> WorldFile:
    """The world in a folder that ``study world`` wrote.

    :raises InputError: when it is no such folder.
    """
    read_manifest(folder, "world")
    return read_world(folder / "world.json")


class _Fault(ValueError):
    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}" if where else what)


def _with_text_keys(stored: Any) -> Any:
    if isinstance(stored, list):
        return [_with_text_keys(one) for one in stored]
    if isinstance(stored, dict):
        return {_key(key): _with_text_keys(value) for key, value in stored.items()}
    return stored


def _key(key: Any) -> str:
    if not isinstance(key, str | int) or isinstance(key, bool):
        raise _Fault("", f"the key {key!r} is not text; put it in quotes")
    return str(key)


def _read(stored: Any) -> WorldFile:
    # A world whose stories come from a data set has no sentences of its own.
    told = () if isinstance(stored, dict) and "source" in stored else ("story", "style")
    names = ("name", "about", "annotated", "attributes", "requests", "corpus", "sft")
    top = _fields(stored, "", (*names, *told), () if told else ("source",))
    attributes = {
        name: _attribute(one, f"attributes: {name}", told=bool(told))
        for name, one in _mapping(top["attributes"], "attributes").items()
    }
    for name, attribute in attributes.items():
        _check_name(name, attribute)
    requests = _fields(top["requests"], "requests", ("openings", "naming"))
    world = WorldFile(
        story={},
        opening="",
        closing=(),
        name=_text(top["name"], "name"),
        about=_known(top["about"], attributes, "about"),
        annotated=tuple(
            _known(name, attributes, "annotated") for name in _list(top["annotated"], "annotated")
        ),
        attributes=attributes,
        openings=_texts(requests["openings"], "requests: openings"),
        naming={
            _known(name, attributes, "requests: naming"): _naming(name, one, attributes)
            for name, one in _mapping(requests["naming"], "requests: naming").items()
        },
        corpus=_corpus(top["corpus"]),
        sft={
            _known(name, attributes, "sft"): _choice(chosen, attributes[name], f"sft: {name}")
            for name, chosen in _mapping(top["sft"], "sft", empty=True).items()
        },
        stored=top,
    )
    return _telling(world) if told else world


def _telling(world: WorldFile) -> WorldFile:
    """The world with its sentences."""
    style = _fields(world.stored["style"], "style", ("opening", "closing"))
    story = {
        what: tuple(
            _frame(text, world.attributes, f"story: {what}")
            for text in _list(some, f"story: {what}")
        )
        for what, some in _mapping(world.stored["story"], "story").items()
    }
    opening, closing = _text(style["opening"], "style: opening"), style["closing"]
    told = replace(world, story=story, opening=opening, closing=_texts(closing, "style: closing"))
    if fault := check_story(told) or check_words(told):
        raise _Fault(*fault)
    return told


def _attribute(stored: Any, where: str, *, told: bool) -> Attribute:
    given = _fields(stored, where, ("values",), ("subsets",))
    listed = given["values"]
    if isinstance(listed, list):
        listed = {_string(value, where): [value] for value in _list(listed, where)}
    values = {}
    for value, phrases in _mapping(listed, f"{where}: values").items():
        if told and (fault := fault_of_value(value)):
            raise _Fault(where, fault)
        here = f"{where}: {value}"
        given_phrases = phrases if isinstance(phrases, list) else [phrases]
        values[value] = _texts(given_phrases, here) if told else (value,)
    attribute = Attribute(values, {})
    subsets = {
        str(name): _choice(chosen, attribute, f"{where}: subsets: {name}")
        for name, chosen in _mapping(given.get("subsets") or {}, where, empty=True).items()
    }
    return Attribute(values, subsets)


def _check_name(name: str, attribute: Attribute) -> None:
    where = f"attributes: {name}"
    if name in RESERVED:
        raise _Fault(where, "another name, please: prompts have a field or a kind of this one")
    for value in attribute.values:
        try:
            Tag(name, value)
        except ValueError as error:
            raise _Fault(where, str(error)) from None


def _choice(chosen: Any, attribute: Attribute, where: str) -> tuple[str, ...]:
    """The first so many values, a named subset, or a list of values."""
    if str(chosen) in attribute.subsets:
        return attribute.subsets[str(chosen)]
    if isinstance(chosen, int) and not isinstance(chosen, bool):
        if not 1 <= chosen <= len(attribute.values):
            raise _Fault(where, f"{chosen} of {len(attribute.values)} values")
        return tuple(attribute.values)[:chosen]
    values = _texts(chosen, where)
    if unknown := [value for value in values if value not in attribute.values]:
        raise _Fault(where, f"{unknown[0]!r} is not one of the values")
    return values


def _frame(text: Any, attributes: Mapping[str, Attribute], where: str) -> Frame:
    try:
        frame = Frame.read(_string(text, where))
    except ValueError as error:
        raise _Fault(where, f"{text!r}: {error}") from None
    for slot in frame.slots:
        if slot.attribute not in attributes:
            known = ", ".join(attributes)
            raise _Fault(
                where, f"{text!r}: {{{slot.attribute}}} is no attribute; there are {known}"
            )
        for value, phrases in attributes[slot.attribute].values.items():
            if slot.number is not None and slot.number > len(phrases):
                raise _Fault(
                    where, f"{text!r}: {slot.attribute} {value!r} has no phrase {slot.number}"
                )
    if fault := fault_of_text(frame.fill(lambda slot: "X")) or frame.fault():
        raise _Fault(where, f"{text!r}: {fault}")
    return frame


def _naming(name: str, stored: Any, attributes: Mapping[str, Attribute]) -> Naming:
    where = f"requests: naming: {name}"
    given = _fields(stored, where, ("as", "pretraining", "sft"))
    frame = _frame(given["as"], attributes, where)
    if [slot.attribute for slot in frame.slots] != [name]:
        raise _Fault(
            where, f"{given['as']!r} has not one slot, {{{name}}}, which is filled with the value"
        )
    shares = [_share(given[which], f"{where}: {which}") for which in ("pretraining", "sft")]
    return Naming(frame, *shares)


def _corpus(stored: Any) -> Corpus:
    shares = ("requests", "two_stories", "styled")
    given = _fields(stored, "corpus", ("documents", *shares))
    documents = given["documents"]
    if not isinstance(documents, int) or documents < 1:
        raise _Fault("corpus: documents", f"{documents!r} is not a whole number from 1")
    return Corpus(documents, *(_share(given[name], f"corpus: {name}") for name in shares))


def _fields(
    stored: Any, where: str, needed: Sequence[str], others: Sequence[str] = ()
) -> dict[str, Any]:
    given = _mapping(stored, where)
    if missing := [name for name in needed if name not in given]:
        raise _Fault(where, f"has no {missing[0]!r}")
    if unknown := [name for name in given if name not in (*needed, *others)]:
        known = ", ".join((*needed, *others))
        raise _Fault(where, f"unknown field {unknown[0]!r}; known are {known}")
    return given


def _mapping(stored: Any, where: str, *, empty: bool = False) -> dict[str, Any]:
    if not isinstance(stored, dict) or not (stored or empty):
        raise _Fault(where, "not a mapping" if where else "not a mapping of fields")
    return stored


def _list(stored: Any, where: str) -> list[Any]:
    if not isinstance(stored, list) or not stored:
        raise _Fault(where, "not a list")
    for k, one in enumerate(stored):
        if one in stored[:k]:
            raise _Fault(where, f"{one!r} stands there twice")
    return stored


def _texts(stored: Any, where: str) -> tuple[str, ...]:
    return tuple(_text(one, where) for one in _list(stored, where))


def _text(stored: Any, where: str) -> str:
    if fault := fault_of_text(_string(stored, where)):
        raise _Fault(where, f"{stored!r}: {fault}")
    return str(stored)


def _string(stored: Any, where: str) -> str:
    if not isinstance(stored, str):
        raise _Fault(where, f"{stored!r} is not text; put it in quotes")
    return stored


def _share(stored: Any, where: str) -> float:
    if isinstance(stored, bool) or not isinstance(stored, int | float) or not 0 <= stored <= 1:
        raise _Fault(where, f"{stored!r} is not a share between 0 and 1")
    return float(stored)


def _known(name: Any, attributes: Iterable[str], where: str) -> str:
    if name not in list(attributes):
        raise _Fault(where, f"{name!r} is no attribute; there are {', '.join(attributes)}")
    return str(name)
