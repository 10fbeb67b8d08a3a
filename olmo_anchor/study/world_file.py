"""A story world as its YAML file says it: what stories are about, and how they say it.

``story_world.yaml`` beside this module is the built-in one; docs/world.md explains each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from olmo_anchor.annotation import Tag
from olmo_anchor.errors import InputError
from olmo_anchor.study.frames import Frame, Slot
from olmo_anchor.study.world_check import check_words, fault_of_text, fault_of_value

__all__ = ["Attribute", "Corpus", "Naming", "WorldFile", "built_in", "read_world"]

RESERVED = ("id", "prompt", "messages", "kind", "styled", "open", "inside", "outside")
"""No attribute has such a name: prompts and labels have fields and kinds of these."""


@dataclass(frozen=True)
class Attribute:
    """:param values: value to the phrases that show it in a story.
    :param subsets: by name, values that SFT data can be restricted to.
    """

    values: Mapping[str, tuple[str, ...]]
    subsets: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Naming:
    """How a request names an attribute, and how often: shares of the requests."""

    frame: Frame
    pretraining: float
    sft: float


@dataclass(frozen=True)
class Corpus:
    """Of pretraining; shares but for the number of documents.

    :param requests: of the documents begin with one.
    :param two_stories: of the documents have two.
    :param styled: of the stories are told in the style that SFT teaches.
    """

    documents: int
    requests: float
    two_stories: float
    styled: float


@dataclass(frozen=True)
class WorldFile:
    """:param about: the attribute that a story tells of.
    :param annotated: the attributes that an annotation says, in its order.
    :param story: the sentences of a story, by what they are; each is one of its frames.
    :param opening, closing: what a styled story begins with, and the sentences it may end with.
    :param openings: what a request begins with.
    :param sft: values of some attributes: those of the demo's SFT data.
    :param stored: the file's own fields.
    """

    name: str
    about: str
    annotated: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    story: Mapping[str, tuple[Frame, ...]]
    opening: str
    closing: tuple[str, ...]
    openings: tuple[str, ...]
    naming: Mapping[str, Naming]
    corpus: Corpus
    sft: Mapping[str, tuple[str, ...]]
    stored: Mapping[str, Any]

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """All values of each attribute."""
        return {name: tuple(one.values) for name, one in self.attributes.items()}

    def phrases(self, slot: Slot) -> list[str]:
        """Everything that may fill a slot."""
        shown = self.attributes[slot.attribute].values.values()
        if slot.number is None:
            return [phrase for phrases in shown for phrase in phrases]
        return [phrases[slot.number - 1] for phrases in shown]

    def slots(self) -> dict[str, set[int | None]]:
        """By attribute, the numbers of its slots in the story."""
        found: dict[str, set[int | None]] = {name: set() for name in self.attributes}
        for frames in self.story.values():
            for slot in (slot for frame in frames for slot in frame.slots):
                found[slot.attribute].add(slot.number)
        return found

    def drawn(self) -> dict[str, int]:
        """By attribute, in how many sentences it may fill a slot without a number."""
        found = dict.fromkeys(self.attributes, 0)
        for frames in self.story.values():
            free = (s.attribute for f in frames for s in f.slots if s.number is None)
            for name in set(free):
                found[name] += 1
        return found


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
        stored = yaml.load(path.read_text("utf-8"), _Loader)
        return _read(stored)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    except _Fault as fault:
        raise InputError(f"{path}: {fault}") from None


class _Fault(ValueError):
    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}" if where else what)


class _Loader(yaml.SafeLoader):
    """A key that stands twice is a fault: YAML itself would forget the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if str(key) in seen:
                raise _Fault(f"line {key_node.start_mark.line + 1}", f"{key!r} stands there twice")
            seen.add(str(key))
        return {_key(key): value for key, value in super().construct_mapping(node, deep).items()}


def _key(key: Any) -> str:
    if not isinstance(key, str | int) or isinstance(key, bool):
        raise _Fault("", f"the key {key!r} is not text; put it in quotes")
    return str(key)


def _read(stored: Any) -> WorldFile:
    names = ("name", "about", "annotated", "attributes", "story", "style", "requests", "corpus")
    top = _fields(stored, "", (*names, "sft"))
    attributes = {
        name: _attribute(one, f"attributes: {name}")
        for name, one in _mapping(top["attributes"], "attributes").items()
    }
    for name, attribute in attributes.items():
        _check_name(name, attribute)
    style = _fields(top["style"], "style", ("opening", "closing"))
    requests = _fields(top["requests"], "requests", ("openings", "naming"))
    world = WorldFile(
        name=_text(top["name"], "name"),
        about=_known(top["about"], attributes, "about"),
        annotated=tuple(
            _known(name, attributes, "annotated") for name in _list(top["annotated"], "annotated")
        ),
        attributes=attributes,
        story={
            what: tuple(
                _frame(text, attributes, f"story: {what}") for text in _list(some, f"story: {what}")
            )
            for what, some in _mapping(top["story"], "story").items()
        },
        opening=_text(style["opening"], "style: opening"),
        closing=_texts(style["closing"], "style: closing"),
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
    _check_story(world)
    if fault := check_words(world):
        raise _Fault(*fault)
    return world


def _attribute(stored: Any, where: str) -> Attribute:
    given = _fields(stored, where, ("values",), ("subsets",))
    listed = given["values"]
    if isinstance(listed, list):
        listed = {_string(value, where): [value] for value in _list(listed, where)}
    values = {}
    for value, phrases in _mapping(listed, f"{where}: values").items():
        if fault := fault_of_value(value):
            raise _Fault(where, fault)
        here = f"{where}: {value}"
        values[value] = _texts(phrases if isinstance(phrases, list) else [phrases], here)
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


def _check_story(world: WorldFile) -> None:
    """That every story shows each attribute, and has phrases enough."""
    for name, numbers in world.slots().items():
        where, attribute = f"attributes: {name}", world.attributes[name]
        if None in numbers and len(numbers) > 1:
            raise _Fault(
                where, f"has slots both with and without a number: {{{name}}}, {{{name}.1}}"
            )
        shown = (
            all(any(slot.attribute == name for slot in frame.slots) for frame in frames)
            for frames in world.story.values()
        )
        if not any(shown):
            raise _Fault(
                where, f"no sentence of the story always shows it: {{{name}}} in each of its frames"
            )
        needed = world.drawn()[name]
        for value, phrases in attribute.values.items():
            if 1 < len(phrases) < needed:
                raise _Fault(
                    f"{where}: {value}",
                    f"{len(phrases)} phrases where {needed} sentences show another one each; give "
                    "one, or enough",
                )


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
