"""``olmo-anchor annotations stats``: how good annotations look, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.entropy import chao_shen, plug_in
from olmo_anchor.manifest import write_json
from olmo_anchor.quality.agreement import Agreement, agreement
from olmo_anchor.quality.count import Counts, Key, count, most_repeated
from olmo_anchor.quality.read import AnnotationsDir

__all__ = ["KIND", "StatsConfig"]

KIND = "annotation_stats"
_DUPLICATES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsConfig:
    """Count what is in an ANNOTATIONS_DIR, and compare it with another.

    :param against: of another annotator, on the same TOKENS_DIR.
    :param tokens: where the TOKENS_DIR lies, unless it is where it was.
    :param top: how many of the most common values of a key are told.
    """

    annotations: Path
    against: Path | None = None
    tokens: Path | None = None
    html: Path | None = None
    json: Path | None = None
    top: int = 5

    def run(self) -> dict[str, Any]:
        """Write what was asked for; the numbers as JSON has them.

        :raises InputError: when a folder is not what it should be, or a file to be written is
            something else.
        """
        from olmo_anchor.quality.page import check_page, write_page

        annotations = AnnotationsDir.open(self.annotations)
        against = AnnotationsDir.open(self.against) if self.against else None
        if self.json is not None:
            _check_json(self.json)
        if self.html is not None:
            check_page(self.html)
        tokens, why_not = self._tokens(annotations)
        counts = count(annotations, tokens.tokenizer() if tokens else None)
        repeated = most_repeated(counts, annotations.records(), _DUPLICATES)
        stats: dict[str, Any] = {
            "kind": KIND,
            "annotations": str(self.annotations),
            "manifest_sha256": annotations.manifest.hash,
            "annotator": annotations.manifest.extra.get("annotator"),
            "schema": annotations.schema.name,
            "chunks": _chunks(annotations),
            "tags": _distribution(counts.tags),
            "tokens": _tokens(annotations, tokens, counts) if tokens else None,
            "duplicates": {
                "annotations": counts.duplicates,
                "share": _share(counts.duplicates, counts.annotations),
                "most_common": [
                    {"tags": found.annotation.pairs(), "times": found.times} for found in repeated
                ],
            },
            "repeats": {"annotations": counts.repeating, "tags": counts.repeats},
            "keys": {
                key: _key(key, found, counts.annotations, self.top)
                for key, found in counts.keys.items()
            },
            "agreement": None,
            "not_measured": {"tokens per annotation": why_not} if why_not else {},
        }
        if against is not None:
            stats["agreement"] = {
                "against": str(self.against),
                "manifest_sha256": against.manifest.hash,
                "annotator": against.manifest.extra.get("annotator"),
                "same_tokens": annotations.tokens_hash == against.tokens_hash,
                **_agreement(agreement(annotations, against)),
            }
        if self.json is not None:
            write_json(self.json, stats)
        if self.html is not None:
            write_page(self.html, stats, counts)
        return stats

    def _tokens(self, annotations: AnnotationsDir) -> tuple[TokensDir | None, str]:
        """The tokens, or why there are none: without them only their counts are missing."""
        try:
            tokens = annotations.tokens(self.tokens)
            if not annotations.made_from(tokens):
                raise InputError(
                    f"{tokens.folder}: not the tokens that {self.annotations} was made from; name "
                    "those with --tokens DIR"
                )
        except InputError as error:
            if self.tokens is not None:
                raise
            return None, str(error)
        return tokens, ""


def _check_json(path: Path) -> None:
    if not path.exists():
        return
    try:
        if orjson.loads(path.read_bytes())["kind"] == KIND:
            return
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise InputError(f"{path}: was not made by olmo-anchor annotations stats; name another file")


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _chunks(annotations: AnnotationsDir) -> dict[str, Any]:
    counts = annotations.manifest.counts
    found = {name: counts.get(name) for name in ("annotations", "unannotated", "rejected")}
    total, annotated = counts.get("chunks"), counts.get("annotations")
    without = None if total is None or annotated is None else _share(total - annotated, total)
    return {
        "chunks": total,
        **found,
        "share_without": without,
        "rejected_reasons": annotations.manifest.extra.get("rejected_reasons", {}),
    }


def _distribution(times: Counter[int]) -> dict[str, Any]:
    """Of whole numbers that stand so often."""
    n = times.total()
    if not n:
        return {"n": 0}
    total = sum(value * count for value, count in times.items())
    ordered = sorted(times)
    return {
        "n": n,
        "total": total,
        "mean": total / n,
        "median": _median(times, n),
        "least": ordered[0],
        "most": ordered[-1],
        "histogram": {str(value): times[value] for value in ordered},
    }


def _median(times: Counter[int], n: int) -> float:
    places = {(n - 1) // 2, n // 2}
    found, before = [], 0
    for value in sorted(times):
        found += [value for place in places if before <= place < before + times[value]]
        before += times[value]
    return sum(found) / len(found)


def _tokens(annotations: AnnotationsDir, tokens: TokensDir, counts: Counts) -> dict[str, Any]:
    limit = annotations.manifest.extra.get("key", {}).get("limit")
    corpus = _tokens_of_first(tokens, limit) if limit else tokens.tokens
    found = _distribution(counts.tokens)
    inserted = found.get("total", 0)
    return {
        **found,
        "corpus": corpus,
        "share": _share(inserted, inserted + corpus),
        "too_long": counts.too_long,
        "unspellable": counts.unspellable,
    }


def _tokens_of_first(tokens: TokensDir, documents: int) -> int:
    rows = (end - start for part in tokens.parts for start, end, _ in part.rows())
    return sum(islice(rows, documents))


def _key(key: str, found: Key, annotations: int, top: int) -> dict[str, Any]:
    times = list(found.values.values())
    return {
        "annotations": found.annotations,
        "share": _share(found.annotations, annotations),
        "values": found.values.total(),
        "distinct": len(found.values),
        "once": times.count(1),
        "alike": found.alike(key),
        "entropy_bits": plug_in(times),
        "entropy_bits_chao_shen": chao_shen(times),
        "most_common": [list(pair) for pair in found.values.most_common(top)],
    }


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "same": found.same,
        "other_text": found.other_text,
        "only_first": found.only_first,
        "only_second": found.only_second,
        "equal": _share(found.equal, found.same),
        "keys": {
            key: {
                "either": of.either,
                "both": of.both,
                "equal": _share(of.equal, of.either),
                "jaccard": of.overlap / of.either,
                "kappa": of.kappa,
            }
            for key, of in found.keys.items()
            if of.either
        },
    }
