"""What models of a world are asked: one record per sample, so that all answer the same list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice

from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.stories import Request, request

__all__ = ["prompts"]

OPEN_SAMPLES = 600
"""Open requests per model: what its entropy is measured on."""
INSIDE_SAMPLES = 30
"""Requests for each value of what stories are about, in the demo's SFT data."""
OUTSIDE_SAMPLES = 6
"""Requests for each other value."""
NAMED_SAMPLES = 4
"""Requests for each value of another annotated attribute."""


def prompts(world: WorldFile) -> Iterator[tuple[str, str, Request]]:
    """Yield (id, kind, request).

    Kinds: ``open`` names nothing; ``inside`` names what the story is about, a value of the demo's
    SFT data, ``outside`` any other. A request that names another annotated attribute has its kind,
    such as ``name``.
    """

    def ask(prefix: str, kind: str, count: int, **named: str) -> Iterator[tuple[str, str, Request]]:
        width = len(str(OPEN_SAMPLES - 1)) if kind == "open" else 2
        for i, opening in enumerate(islice(cycle(world.openings), count)):
            yield f"{prefix}-{i:0{width}}", kind, request(world, opening, named)

    yield from ask("open", "open", OPEN_SAMPLES)
    taught = world.sft.get(world.about, world.values[world.about])
    for attribute in (world.about, *(name for name in world.annotated if name != world.about)):
        for value in world.values[attribute] if attribute in world.naming else ():
            kind, count = attribute, NAMED_SAMPLES
            if attribute == world.about:
                inside = value in taught
                kind, count = ("inside", INSIDE_SAMPLES) if inside else ("outside", OUTSIDE_SAMPLES)
            yield from ask(f"{kind}-{value.replace(' ', '_')}", kind, count, **{attribute: value})
