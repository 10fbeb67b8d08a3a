"""The grid of the study: what is pretrained, what is post-trained, and which arms compare it.

A YAML file holds the choices (``train_configs/study.yaml`` is the study's). Its lists under
``vary`` make products; here they are expanded to arms, and checked, by pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from olmo_anchor.errors import InputError

__all__ = ["MAIN", "Annotations", "Arm", "Base", "Data", "Grid", "Group", "choose"]

MAIN = "main"
"""The annotations and the data that are taken where an arm names none."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Annotations:
    """How a corpus is annotated: its true labels, or these with noise.

    :param wrong: the share of the tags that say another value.
    :param among: any other of the ``world``, or one that the data's own ``labels`` have.
    :param without: the share of the documents that have none.
    """

    attributes: tuple[str, ...] = ("topic", "name")
    wrong: float = 0.0
    among: str = "world"
    without: float = 0.0


@dataclass(frozen=True)
class Data:
    """Conversations of the world.

    :param only: an attribute and what it is restricted to, such as ``("topic", "14")``.
    """

    only: tuple[tuple[str, str], ...] = ()
    conversations: int = 1800


@dataclass(frozen=True)
class Base:
    """A model to post-train.

    :param recipe: name of a file in ``train_configs/``.
    :param set: dotted overrides of the recipe.
    """

    recipe: str
    annotations: str = MAIN
    set: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """One thing that is sampled and measured.

    :param name: ``GROUP/NAME``.
    :param method: how it was trained, as the grid calls it.
    :param recipe: of the post-training; None for a base itself.
    :param data: what it was post-trained on.
    :param annotations: of those conversations.
    :param size: of base and arm alike; None for the recipes' own.
    :param set: dotted overrides of the recipe.
    :param sample: options of ``generate``.
    :param of: the arm whose model this one samples, only otherwise.
    :param at: what varies in the group, with this arm's value.
    """

    name: str
    group: str
    method: str
    base: str
    recipe: str | None = None
    data: str | None = None
    annotations: str = MAIN
    size: str | None = None
    set: Settings = field(default_factory=dict)
    sample: Settings = field(default_factory=dict)
    of: str | None = None
    at: Settings = field(default_factory=dict)
    title: str | None = None

    @property
    def model(self) -> str:
        """The arm that this one's model is named after."""
        return self.of or self.name

    @property
    def starts_from(self) -> str:
        """The name of the base's run: one base has a run for each size."""
        return f"{self.base}_{self.size}" if self.size else self.base


@dataclass(frozen=True)
class Group:
    """:param tests: a sentence.
    :param default: run also when no arms are asked for.
    """

    tests: str
    arms: tuple[str, ...]
    default: bool = True


@dataclass(frozen=True)
class Grid:
    """:param path: the file it was read from.
    :param world: a file for ``study world --world``; None for the built-in world.
    :param suite: of ``evaluate``, for one arm: a file in ``evals/``.
    :param sample: options of ``generate`` for all arms.
    :param size: of arms that name none: what the recipes make.
    :param sizes: the seconds of a size's step, in times those of the recipes' own size.
    """

    path: Path
    suite: str
    annotations: Mapping[str, Annotations]
    data: Mapping[str, Data]
    bases: Mapping[str, Base]
    sizes: Mapping[str, float]
    arms: Mapping[str, Arm]
    groups: Mapping[str, Group]
    sample: Settings = field(default_factory=dict)
    size: str | None = None
    world: str | None = None


def choose(grid: Grid, asked: tuple[str, ...]) -> list[Arm]:
    """The arms asked for, in the order of the grid, with the arms whose models they sample.

    :param asked: names of groups, or patterns of arms such as ``lr/*_0.001``; empty for all groups
        that are run by default.
    :raises InputError: when one names nothing.
    """
    chosen: set[str] = set()
    for pattern in asked or [name for name, group in grid.groups.items() if group.default]:
        group = grid.groups.get(pattern)
        found = set(group.arms) if group else {a for a in grid.arms if fnmatchcase(a, pattern)}
        if not found:
            raise InputError(
                f"--arms {pattern}: no such group or arm in {grid.path}; the groups are "
                f"{', '.join(grid.groups)}, and --dry-run lists the arms"
            )
        chosen |= found
    chosen |= {grid.arms[name].model for name in chosen}
    return [arm for name, arm in grid.arms.items() if name in chosen]
