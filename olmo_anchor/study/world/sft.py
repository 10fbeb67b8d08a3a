"""SFT data of a world with an attribute restricted to a few of its values.

conversations.jsonl   {id, messages}
labels.jsonl          {id, chunk: 0, labels}
manifest.json         last, with the entropy of each attribute in bits
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.entropy import plug_in
from olmo_anchor.manifest import MANIFEST, Manifest, file_record, prepare_output
from olmo_anchor.study.world.file import WorldFile
from olmo_anchor.study.world.pool import Pool
from olmo_anchor.study.world.read import world_of
from olmo_anchor.study.world.stories import StoryWorld
from olmo_anchor.study.world.write import (
    CONVERSATIONS,
    Conversations,
    Labelled,
    outputs,
    write_lines,
)

__all__ = ["select", "write_conversations"]


def select(world: WorldFile, choices: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read ``attribute=SUBSET`` or ``attribute=VALUE,VALUE``; nothing stands for ``attribute=all``.

    :raises InputError: for an attribute, subset or value that is not there.
    """
    found: dict[str, tuple[str, ...]] = {}
    for choice in choices:
        name, equals, wanted = choice.partition("=")
        if not equals or name not in world.attributes:
            raise InputError(
                f"--only {choice}: write ATTRIBUTE=SUBSET or ATTRIBUTE=VALUE,VALUE; the attributes "
                f"are {', '.join(world.attributes)}"
            )
        if wanted == "all":
            found[name] = ()
            continue
        attribute = world.attributes[name]
        listed = tuple(value.strip() for value in wanted.split(","))
        values = attribute.subsets.get(wanted) or listed
        if unknown := [value for value in values if value not in attribute.values]:
            named = f"; its subsets are {', '.join(attribute.subsets)}" if attribute.subsets else ""
            raise InputError(f"--only {choice}: no {name} is {unknown[0]!r}{named}")
        if len(set(values)) < len(values):
            raise InputError(f"--only {choice}: a value stands there twice")
        found[name] = values
    return found


def write_conversations(
    world: Path,
    out: Path,
    seed: int,
    only: Iterable[str] = (),
    count: int = CONVERSATIONS,
    *,
    overwrite: bool = False,
) -> Manifest:
    """Write SFT data of the world in the folder ``world`` to the folder ``out``.

    :param only: what :func:`select` reads, in the place of the demo's.
    :raises InputError: when ``world`` is none, or ``out`` holds something, without ``overwrite``.
    :raises WorkFailed: when a data set has not so many stories of these values.
    """
    file = world_of(world)
    chosen = {name: some for name, some in {**file.sft, **select(file, only)}.items() if some}
    drawn: Conversations = StoryWorld(file, seed) if file.story else Pool(file, world, seed)
    prepare_output(out, overwrite=overwrite)
    sft = Labelled()
    talks = sft.conversations(drawn.conversations(count, chosen))
    counts = {"conversations": write_lines(out / "conversations.jsonl", talks)}
    write_lines(out / "labels.jsonl", sft.records())
    values = {name: list(chosen.get(name, every)) for name, every in file.values.items()}
    manifest = Manifest(
        kind="conversations",
        inputs=[file_record(world / MANIFEST)],
        config={"world": file.name, "conversations": count, "values": values},
        counts=counts,
        outputs=outputs(out),
        seed=seed,
        extra={"entropy_bits": _entropy(file, chosen, sft)},
    )
    manifest.write(out)
    return manifest


def _entropy(
    world: WorldFile, chosen: Mapping[str, Sequence[str]], sft: Labelled
) -> dict[str, float]:
    """Of what each attribute is drawn from; a data set's other attributes are as they are."""
    values = {**(world.values if world.story else {}), **chosen}
    bits = {}
    for name in world.attributes:
        if name in values:
            bits[name] = math.log2(len(values[name]))
        else:
            said = (labels.values.get(name) for _, _, labels in sft.labels)
            counts = Counter(label for label in said if label is not None)
            bits[name] = plug_in(list(counts.values())) if counts else 0.0
    return bits
