"""SimpleStories' controlled subsets as conversations, with the truth about each beside them.

    python data_prep/simplestories.py data/simplestories/raw --out data/simplestories/subsets

OUT/topic-5/ and so on hold train.jsonl and heldout.jsonl ({id, messages}), and the truth for
`annotate --annotator oracle`, train_truth.jsonl and heldout_truth.jsonl ({id, chunk, tags}); OUT
holds schema.json, and prompts.jsonl for `generate`. What is chosen is in simplestories.yaml. Which
stories a subset has depends on their text alone: a value's are those of the smallest hashes. One
that is held out is so in every subset, and so is all that was written in the same completion.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import orjson
from rows import Row, choices, finished, number_of, parquet_files, read_rows

from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import Manifest, atomic_write, file_record, prepare_output, write_json

PARTS = ("train", "heldout")


@dataclass
class Candidates:
    """The stories with one value, in one part: their hashes and row numbers."""

    hashes: array[int] = field(default_factory=lambda: array("Q"))
    rows: array[int] = field(default_factory=lambda: array("q"))

    def smallest(self, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        order = np.argsort(np.array(self.hashes, dtype=np.uint64), kind="stable")
        return np.array(self.rows, dtype=np.int64)[order[:count]]


def plain(value: str | None) -> str:
    """Without commas: the paper leaves them out of two personas."""
    return " ".join((value or "").replace(",", "").split())


def is_held_out(row: Row, share: float) -> bool:
    group = row.get("generation_id") or row["story"]
    return number_of("held out", group) < share * 2**64


def survey(
    rows: Iterator[Row], chosen: dict[str, Any]
) -> tuple[dict[tuple[str, str, str], Candidates], Counter[str]]:
    """Read every row once.

    :returns: the candidates by (attribute, value, part), and how many rows were what.
    """
    found: dict[tuple[str, str, str], Candidates] = {}
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    wanted = {name: set(map(plain, chosen[name])) for name in chosen["subsets"]}
    for number, row in enumerate(rows):
        counts["rows"] += 1
        story = row["story"]
        if not story or not story.strip():
            counts["empty stories"] += 1
            continue
        digest = number_of(story)
        if digest in seen:
            counts["repeated stories"] += 1
            continue
        seen.add(digest)
        part = PARTS[is_held_out(row, chosen["held_out"])]
        for name, values in wanted.items():
            value = plain(row.get(name))
            if value not in values:
                counts[f"without a {name} of the list"] += 1
                continue
            at = found.setdefault((name, value, part), Candidates())
            at.hashes.append(digest)
            at.rows.append(number)
    return found, counts


def choose(
    found: dict[tuple[str, str, str], Candidates], name: str, values: list[str], wanted: list[int]
) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
    """The rows of a subset, the same number for each value.

    :param wanted: examples to train on, and held out.
    :returns: rising row numbers by part.
    :raises WorkFailed: when a value has no story to train on.
    """
    rows = {}
    for part, examples in zip(PARTS, wanted, strict=True):
        there = [found.get((name, plain(value), part), Candidates()) for value in values]
        scarce = min(range(len(values)), key=lambda k: len(there[k].rows))
        least = len(there[scarce].rows)
        asked = max(1, examples // len(values))
        each = min(asked, least)
        if part == "train" and not each:
            raise WorkFailed(
                f"no story has the {name} {values[scarce]!r}, and a subset is uniform over its "
                f"{len(values)}; give more of the data set"
            )
        if part == "train" and each < asked:
            print(
                f"{name}-{len(values)}: {each * len(values)} examples, not {examples}, as only "
                f"{least} stories have the {name} {values[scarce]!r}",
                file=sys.stderr,
            )
        rows[part] = np.sort(np.concatenate([one.smallest(each) for one in there]))
    return rows


def conversation(row: Row, chosen: dict[str, Any]) -> tuple[Row, Row]:
    """The story as an answer to an open request, and the truth about it."""
    digest = number_of(row["story"])
    name, requests = f"simplestories-{digest:016x}", chosen["requests"]
    messages = [
        {"role": "user", "content": requests[digest % len(requests)]},
        {"role": "assistant", "content": row["story"].strip()},
    ]
    tags = [[key, plain(row.get(key))] for key in chosen["keys"] if plain(row.get(key))]
    return {"id": name, "messages": messages}, {"id": name, "chunk": 0, "tags": tags}


@click.command(help=(__doc__ or "").replace("\n\n", "\n\n\b\n"))
@click.argument("source", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option(
    "--examples", type=click.IntRange(min=1), help="Of each subset.  [default: the YAML's]"
)
@click.option("--limit", type=click.IntRange(min=1), help="Read only the first N rows.")
def main(source: tuple[str, ...], out: Path, examples: int | None, limit: int | None) -> None:
    chosen = choices("simplestories")
    chosen["examples"] = examples or chosen["examples"]
    files = parquet_files(source)
    inputs = [file_record(path) for path in files]
    config = {**chosen, "inputs": [record["sha256"] for record in inputs], "limit": limit}
    if finished(out, "subsets", config):
        return
    columns = ["story", "generation_id", *chosen["keys"]]
    found, counts = survey(islice(read_rows(files, columns), limit), chosen)
    wanted = [chosen["examples"], int(chosen["examples"] * chosen["held_out"])]
    subsets = {
        f"{name}-{size}": choose(found, name, chosen[name][:size], wanted)
        for name, sizes in chosen["subsets"].items()
        for size in sizes
    }
    prepare_output(out, resume=True)
    write_subsets(out, islice(read_rows(files, columns), limit), subsets, chosen)
    write_json(out / "schema.json", {"name": "simplestories", "keys": chosen["keys"]})
    with atomic_write(out / "prompts.jsonl") as file:
        for number, text in enumerate(chosen["requests"]):
            prompt = {"id": f"open-{number}", "messages": [{"role": "user", "content": text}]}
            file.write(orjson.dumps({**prompt, "kind": "open"}, option=orjson.OPT_APPEND_NEWLINE))
    for name, rows in subsets.items():
        counts.update({f"{name} {part}": len(rows[part]) for part in PARTS})
        print(f"{out / name}: {len(rows['train'])} to train, {len(rows['heldout'])} held out")
    outputs = [file_record(path, out) for path in sorted(out.rglob("*.json*"))]
    Manifest("subsets", inputs, config, dict(counts), outputs).write(out)


def write_subsets(
    out: Path,
    rows: Iterator[Row],
    subsets: dict[str, dict[str, np.ndarray[Any, np.dtype[np.int64]]]],
    chosen: dict[str, Any],
) -> None:
    """Read the rows again and write each where it was chosen."""
    wanted: dict[int, list[tuple[str, str]]] = {}
    for name, parts in subsets.items():
        for part, numbers in parts.items():
            for number in numbers.tolist():
                wanted.setdefault(number, []).append((name, part))
    with ExitStack() as stack:
        files = {}
        for name in subsets:
            (out / name).mkdir(exist_ok=True)
            for part in PARTS:
                paths = (out / name / f"{part}.jsonl", out / name / f"{part}_truth.jsonl")
                files[name, part] = [stack.enter_context(atomic_write(path)) for path in paths]
        for number, row in enumerate(rows):
            for place in wanted.get(number, ()):
                for file, record in zip(files[place], conversation(row, chosen), strict=True):
                    file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    try:
        main()
    except (InputError, WorkFailed) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
