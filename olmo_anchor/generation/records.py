"""The generations file: JSONL, one sample per line.

::

    {"prompt_id", "prompt" (text or messages), "sample", "seed", "response" (null: unclosed),
     "annotation": [[key, value], ...] | null, "annotation_text", "no_annotation", "unclosed",
     "finish_reason", "prompt_tokens", "annotation_tokens", "response_tokens", "prompt_fields"}

``finish_reason`` is ``"stop"`` (it ended by itself, at a ``--stop`` text, or where the annotation
of the next chunk began), ``"length"`` (cut at its limit, the annotation's or the response's) or
``"context"`` (the model takes no more tokens). The counts are of sampled tokens:
``annotation_tokens`` with delimiters, ``response_tokens`` without a prefill and without the token
that ended it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.generation.decode import Sampled
from olmo_anchor.generation.prompts import Prompt
from olmo_anchor.generation.strip import strip
from olmo_anchor.manifest import atomic_write
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["record_of", "sort_records"]


def record_of(
    prompt: Prompt, made: Sampled, tokenizer: AnchorTokenizer, stop: tuple[str, ...]
) -> dict[str, Any]:
    said = strip(made.ids, tokenizer)
    response, finish_reason = said.response, made.finish_reason
    if response is not None:
        cuts = [at for text in stop if (at := response.find(text)) >= 0]
        if cuts:
            response, finish_reason = response[: min(cuts)].rstrip(), "stop"
    prefilled = 0 if response is None else len(prompt.prefill_ids)
    return {
        "prompt_id": prompt.id,
        "prompt": prompt.text,
        "sample": made.job.sample,
        "seed": made.job.seed,
        "response": response,
        "annotation": [[tag.key, tag.value] for tag in said.annotation.tags]
        if said.annotation is not None
        else None,
        "annotation_text": said.annotation_text,
        "no_annotation": said.no_annotation,
        "unclosed": said.unclosed,
        "finish_reason": finish_reason,
        "prompt_tokens": len(prompt.ids),
        "annotation_tokens": said.annotation_tokens,
        "response_tokens": max(0, said.response_tokens - prefilled),
        "prompt_fields": prompt.fields,
    }


def sort_records(out: Path, prompts: list[Prompt]) -> dict[str, int]:
    """Bring the file into the order of the prompts, whatever finished first, and count.

    Holds the place of each line, not the lines.
    """
    order = {prompt.id: index for index, prompt in enumerate(prompts)}
    places: list[tuple[int, int, int, int]] = []
    counts = Counter(prompts=len(prompts), samples=0, no_annotation=0, unclosed=0, out_of_context=0)
    offset = 0
    with out.open("rb") as file:
        for line in file:
            record = orjson.loads(line)
            places.append((order[record["prompt_id"]], record["sample"], offset, len(line)))
            offset += len(line)
            counts["samples"] += 1
            for flag in ("no_annotation", "unclosed"):
                counts[flag] += record[flag]
            counts["out_of_context"] += record["finish_reason"] == "context"
            for kind in ("annotation_tokens", "response_tokens"):
                counts[kind] += record[kind]
        places.sort()
        with atomic_write(out) as sorted_file:
            for _, _, start, length in places:
                file.seek(start)
                sorted_file.write(file.read(length))
    return dict(counts)
