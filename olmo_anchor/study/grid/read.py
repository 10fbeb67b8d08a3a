"""A grid from its YAML file; ``train_configs/study.yaml`` explains the form to who writes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.suite import build
from olmo_anchor.study.grid.grid import MAIN, Annotations, Arm, Base, Data, Grid, Group
from olmo_anchor.study.yaml_file import read_yaml

__all__ = ["expand", "read_grid"]

Settings = dict[str, Any]

_SECTIONS = (
    *("world", "suite", "sample", "size", "sizes", "annotations"),
    *("data", "sft", "bases", "methods", "groups"),
)
_GROUP = ("tests", "default", "with", "arms", "vary")
_ARM = (
    *("method", "base", "size", "recipe", "data", "annotations"),
    *("set", "sample", "of", "title"),
)
_SAMPLE = ("temperature", "top_p", "min_p", "max_tokens", "num_samples", "plan", "annotation")
_NESTED = ("set", "sample")


def read_grid(path: Path) -> Grid:
    """:raises InputError: naming file, arm and field, when the file is no grid."""
    return expand(read_yaml(path), path)


def expand(stored: Mapping[str, Any], path: Path) -> Grid:
    """The grid that a mapping describes; a pure function.

    :raises InputError: as :func:`read_grid`.
    """
    _known(stored, _SECTIONS, str(path))
    if not isinstance(stored.get("suite"), str):
        raise InputError(f"{path}: suite: name a file in evals/")
    annotations = {
        name: _annotations(given, f"{path}: annotations: {name}")
        for name, given in _mapping(stored, "annotations", str(path)).items()
    }
    sft = _mapping(stored, "sft", str(path))
    _known(sft, ("conversations", "set"), f"{path}: sft")
    data = {
        name: _data(given, sft, f"{path}: data: {name}")
        for name, given in _mapping(stored, "data", str(path)).items()
    }
    bases = {
        name: _base(given, annotations, f"{path}: bases: {name}")
        for name, given in _mapping(stored, "bases", str(path)).items()
    }
    sizes = _mapping(stored, "sizes", str(path))
    for name, cost in sizes.items():
        if not isinstance(cost, int | float) or cost <= 0:
            raise InputError(f"{path}: sizes: {name}: {cost!r} is no number of times")
    methods = _mapping(stored, "methods", str(path))
    for name, given in methods.items():
        _known(given, _ARM, f"{path}: methods: {name}")
    arms: dict[str, Arm] = {}
    groups: dict[str, Group] = {}
    for group, given in _mapping(stored, "groups", str(path)).items():
        where = f"{path}: groups: {group}"
        _known(given, _GROUP, where)
        if not isinstance(given.get("tests"), str):
            raise InputError(f"{where}: tests: say in a sentence what the group tests")
        names = []
        for short, settings, at in _settings(given, where):
            name = f"{group}/{short}"
            if name in arms:
                raise InputError(f"{where}: {short}: there are two arms of this name")
            settings = _merge({"set": sft.get("set") or {}}, _with_method(settings, methods, where))
            arms[name] = _arm(name, group, settings, at, bases, f"{where}: {short}")
            names.append(name)
        groups[group] = Group(given["tests"], tuple(names), bool(given.get("default", True)))
    for name, arm in arms.items():
        arms[name] = _resolve(arm, arms, f"{path}: groups: {name.replace('/', ': ')}")
        for section, known, value in (
            ("data", data, arms[name].data or MAIN),
            ("annotations", annotations, arms[name].annotations),
            ("size", sizes, arms[name].size),
        ):
            if value is not None:
                _one_of(value, known, f"{path}: groups: {name.replace('/', ': ')}: {section}")
    return Grid(
        path,
        stored["suite"],
        annotations,
        data,
        bases,
        {name: float(cost) for name, cost in sizes.items()},
        arms,
        groups,
        _sample(stored, str(path)),
        _text(stored.get("size")),
        _text(stored.get("world")),
    )


def _settings(given: Mapping[str, Any], where: str) -> Iterator[tuple[str, Settings, Settings]]:
    """Yield (name, settings, at) of each arm of a group."""
    common = given.get("with") or {}
    for short, own in _mapping(given, "arms", where).items():
        yield short, _merge(common, own or {}), {}
    products = given.get("vary") or []
    for vary in products if isinstance(products, list) else [products]:
        if not isinstance(vary, Mapping):
            raise InputError(f"{where}: vary: neither a mapping nor a list of mappings")
        axes = [list(_axis(str(name), values, where)) for name, values in vary.items()]
        for options in product(*axes):
            settings: Settings = dict(common)
            at: Settings = {}
            for _, own, value in options:
                settings = _merge(settings, own)
                at |= value
            yield "_".join(label for label, _, _ in options), settings, at


def _axis(name: str, values: Any, where: str) -> Iterator[tuple[str, Settings, Settings]]:
    """Yield (label, settings, at): of ``setting: [values]``, or ``name: {label: settings}``."""
    short = name.rpartition(".")[2]
    if isinstance(values, Mapping):
        for label, settings in values.items():
            if not isinstance(settings, Mapping):
                raise InputError(f"{where}: vary: {name}: {label}: not a mapping of settings")
            yield str(label), dict(settings), {name: label}
        return
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: vary: {name}: neither a list of values nor a mapping")
    for value in values:
        first, dot, rest = name.partition(".")
        settings = {first: {rest: value}} if dot else {name: value}
        at = {} if name in ("method", "of") else {short: value}
        yield str(value).rpartition("/")[2], settings, at


def _with_method(settings: Settings, methods: Mapping[str, Any], where: str) -> Settings:
    """The settings over those of their method."""
    method = settings.get("method")
    if method is None:
        return settings
    _one_of(method, methods, f"{where}: method")
    return _merge(methods[method] or {}, settings)


def _arm(
    name: str, group: str, given: Settings, at: Settings, bases: Mapping[str, Base], where: str
) -> Arm:
    _known(given, _ARM, where)
    sample = _sample(given, where)
    title = given.get("title")
    if given.get("of") is not None:
        wrong = [key for key in given if key not in ("of", "sample", "title", "set")]
        if wrong:
            raise InputError(f"{where}: {wrong[0]}: an arm `of` another has only sample, title")
        return Arm(name, group, "", "", sample=sample, of=given["of"], at=at, title=title)
    base = str(given.get("base"))
    _one_of(base, bases, f"{where}: base")
    recipe, size = given.get("recipe"), given.get("size")
    method = given.get("method") or str(recipe or bases[base].recipe).removeprefix("story_")
    arm = Arm(name, group, method, base, size=_text(size), sample=sample, at=at, title=title)
    if recipe is None:
        wrong = [key for key in ("data", "annotations") if key in given]
        if wrong:
            raise InputError(f"{where}: {wrong[0]}: nothing is trained without a method or recipe")
        return arm
    return replace(
        arm,
        recipe=str(recipe),
        data=str(given.get("data", MAIN)),
        annotations=str(given.get("annotations", bases[base].annotations)),
        set=given.get("set") or {},
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _sample(given: Mapping[str, Any], where: str) -> Settings:
    sample = _mapping(given, "sample", where)
    _known(sample, _SAMPLE, f"{where}: sample")
    for option, value in sample.items():
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise InputError(f"{where}: sample: {option}: {value!r} is neither number nor word")
    return sample


def _resolve(arm: Arm, arms: Mapping[str, Arm], where: str) -> Arm:
    """An arm ``of`` another has the other's model: all that it was trained on."""
    seen = [arm.name]
    trained = arm
    while trained.of is not None:
        _one_of(trained.of, arms, f"{where}: of")
        trained = arms[trained.of]
        if trained.name in seen:
            raise InputError(f"{where}: of: a circle: {' -> '.join([*seen, trained.name])}")
        seen.append(trained.name)
    if trained is arm:
        return arm
    sample = {**trained.sample, **arm.sample}
    return replace(
        trained,
        name=arm.name,
        group=arm.group,
        sample=sample,
        of=trained.name,
        at=arm.at,
        title=arm.title,
    )


def _annotations(given: Any, where: str) -> Annotations:
    found: Annotations = build(Annotations, given or {}, where)
    if not isinstance(found.attributes, list | tuple) or not found.attributes:
        raise InputError(f"{where}: attributes: not a list such as [topic, name]")
    for name in ("wrong", "without"):
        value = getattr(found, name)
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise InputError(f"{where}: {name}: {value!r} is no share from 0 below 1")
    if found.among not in ("world", "labels"):
        raise InputError(f"{where}: among: {found.among!r} is neither world nor labels")
    return replace(found, attributes=tuple(found.attributes))


def _data(given: Any, sft: Mapping[str, Any], where: str) -> Data:
    _known(given or {}, ("only", "conversations"), where)
    only = _mapping(given or {}, "only", where)
    number = {**sft, **(given or {})}.get("conversations", Data.conversations)
    return Data(tuple((name, str(value)) for name, value in only.items()), int(number))


def _base(given: Any, annotations: Mapping[str, Annotations], where: str) -> Base:
    base: Base = build(Base, given, where)
    _one_of(base.annotations, annotations, f"{where}: annotations")
    return base


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> Settings:
    merged = {**under, **over}
    for name in _NESTED:
        if name in under or name in over:
            merged[name] = {**(under.get(name) or {}), **(over.get(name) or {})}
    return merged


def _mapping(stored: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    found = stored.get(name) or {}
    if not isinstance(found, Mapping):
        raise InputError(f"{where}: {name}: not a mapping")
    return {str(key): value for key, value in found.items()}


def _known(given: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: not a mapping of fields")
    for name in given:
        if name not in known:
            raise InputError(f"{where}: unknown field {name!r}; known are {', '.join(known)}")


def _one_of(value: Any, known: Mapping[str, Any], where: str) -> None:
    if value not in known:
        raise InputError(f"{where}: {value!r} is none of {', '.join(known)}")
