"""Prompts to evaluate on, and conversations, from WildChat.

    python data_prep/wildchat.py data/wildchat/raw --out data/wildchat/chosen
    python data_prep/wildchat.py ... --exclude data/tulu3/raw    without what TULU3 trains on

OUT holds prompts.jsonl ({id, messages}: one user turn) and conversations.jsonl ({id, messages}: the
whole). What is taken is in wildchat.yaml; what is not is counted in manifest.json by its reason.
"""

from __future__ import annotations

import heapq
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click
import orjson
from rows import Row, choices, finished, number_of, parquet_files, read_rows

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import Manifest, atomic_write, file_record, prepare_output

COLUMNS = ("conversation", "model", "language", "toxic", "redacted")


def same(text: str) -> int:
    """Equal for texts that differ in case and white space only."""
    return number_of(" ".join(text.casefold().split()))


def fault(row: Row, chosen: dict[str, Any]) -> str | None:
    """Why a conversation is not taken; None when it is."""
    turns: Sequence[Row] = row["conversation"] or ()
    if not turns or turns[0].get("role") != "user":
        return "does not begin with a user's turn"
    if row.get("toxic") or any(turn.get("toxic") for turn in turns):
        return "toxic"
    if row.get("redacted") or any(turn.get("redacted") for turn in turns):
        return "redacted: something personal was in it"
    languages = {row.get("language"), turns[0].get("language", chosen["language"])}
    if languages != {chosen["language"]}:
        return f"not in {chosen['language']}"
    if any(not (turn.get("content") or "").strip() for turn in turns):
        return "has an empty turn"
    length = len(turns[0]["content"].strip())
    if not chosen["min_chars"] <= length <= chosen["max_chars"]:
        return "the prompt is too short or too long"
    return None


def first_turns(files: Sequence[Path]) -> set[int]:
    """Of conversations in TULU form."""
    return {
        same(turn["content"])
        for row in read_rows(files, ["messages"])
        for turn in islice((one for one in row["messages"] if one["role"] == "user"), 1)
    }


def take(
    rows: Iterator[Row], chosen: dict[str, Any], taken: set[int], counts: Counter[str]
) -> Iterator[tuple[int, Row]]:
    """The conversations that are taken, with a number that decides which of them give prompts.

    :param taken: prompts that are taken already; more are added.
    """
    for row in rows:
        counts["conversations read"] += 1
        reason = fault(row, chosen)
        if reason is None:
            digest = same(row["conversation"][0]["content"])
            if digest not in taken:
                taken.add(digest)
                yield digest, row
                continue
            reason = "the prompt was there before, or is one to leave out"
        counts[reason] += 1


def messages(turns: Sequence[Row]) -> list[Row]:
    return [{"role": turn["role"], "content": turn["content"].strip()} for turn in turns]


@click.command(help=(__doc__ or "").replace("\n\n", "\n\n\b\n"))
@click.argument("source", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--prompts", type=click.IntRange(min=1), help="How many.  [default: the YAML's]")
@click.option(
    "--exclude", multiple=True, help="Leave prompts out that conversations here begin with."
)
@click.option("--limit", type=click.IntRange(min=1), help="Read only the first N conversations.")
def main(
    source: tuple[str, ...],
    out: Path,
    prompts: int | None,
    exclude: tuple[str, ...],
    limit: int | None,
) -> None:
    chosen = choices("wildchat")
    chosen["prompts"] = prompts or chosen["prompts"]
    files, others = parquet_files(source), parquet_files(exclude) if exclude else []
    inputs = [file_record(path) for path in (*files, *others)]
    config = {**chosen, "inputs": [record["sha256"] for record in inputs], "limit": limit}
    if finished(out, "prompts", config):
        return
    taken, counts = first_turns(others), Counter[str]()
    prepare_output(out, resume=True)
    heap: list[tuple[int, str, Row]] = []
    with atomic_write(out / "conversations.jsonl") as file:
        rows = islice(read_rows(files, COLUMNS), limit)
        for digest, row in take(rows, chosen, taken, counts):
            name = f"wildchat-{digest:016x}"
            turns = messages(row["conversation"])
            heapq.heappush(heap, (-digest, name, turns[0]))
            if len(heap) > chosen["prompts"]:
                heapq.heappop(heap)
            counts["prompts that could be taken"] += 1
            if turns[-1]["role"] == "assistant":
                counts["conversations"] += 1
                record = {"id": name, "messages": turns, "model": row.get("model")}
                file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    with atomic_write(out / "prompts.jsonl") as file:
        for _, name, turn in sorted(heap, reverse=True):
            record = {"id": name, "messages": [turn], "kind": "wildchat"}
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    counts["prompts"] = len(heap)
    outputs = [file_record(out / name, out) for name in ("conversations.jsonl", "prompts.jsonl")]
    Manifest("prompts", inputs, config, dict(counts), outputs).write(out)
    print(f"{out}: {len(heap)} prompts, {counts['conversations']} conversations")
    print(f"next: olmo-anchor generate MODEL --prompts {out / 'prompts.jsonl'} --out FILE")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
