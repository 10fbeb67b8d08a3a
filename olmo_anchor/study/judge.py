"""The exact classifier as a judge of evaluation suites."""

from __future__ import annotations

from pathlib import Path

from olmo_anchor.study.world.classifier import Classifier
from olmo_anchor.study.world.read import built_in, read_world

__all__ = ["of_world", "story_world"]

story_world = Classifier(built_in())


def of_world(path: str) -> Classifier:
    """The judge of another world.

    :param path: its YAML file, or the ``world.json`` that ``study world`` wrote.
    :raises InputError: when it is neither.
    """
    return Classifier(read_world(Path(path)))
