"""Folders of a study as its run leaves them, tiny, with literal numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

Numbers = Mapping[str, Any]
SIZES = {"xs": 100_000, "s": 1_000_000, "m": 4_000_000, "l": 10_000_000}


def arm(name: str, method: str, **more: Any) -> dict[str, Any]:
    """An arm of ``grid.json``; one with a model of its own unless ``of`` is given."""
    run = None if more.get("of") else f"runs/{name}"
    base = method.startswith("base")
    return {
        "name": name,
        "group": name.partition("/")[0],
        "title": name.partition("/")[2].replace("_", " "),
        "method": method,
        "base": "standard",
        "data": None if base else "topic5",
        "data_entropy_bits": None if base else {"topic": 2.321928, "persona": 0.0},
        "size": "s",
        "run": run,
        "at": {},
        "overrides": [],
        "sampling": [],
        "of": None,
        **more,
    }


MAIN = (
    arm("main/base_standard", "base_standard"),
    arm("main/base_annotated", "base_annotated", base="annotated"),
    arm("main/sft_standard", "sft_standard"),
    arm("main/sft_anchored", "sft_anchored", base="annotated"),
)


def summary(topic: float, **more: Any) -> dict[str, Any]:
    """``arms.NAME`` of a ``summary.json``. The plug-in lies 0.1 bits below."""
    entropies = {"topic": topic, "name": 4.0, "place": 3.0, "persona": 1.0, **more}
    return {
        "entropy_bits": {
            one: {"value": entropies[one], "plug_in": entropies[one] - 0.1, "n": more.get("n", 600)}
            for one in ("topic", "name", "place", "persona")
        },
        "valid": more.get("valid", 0.95),
        "valid_where": {"inside": 0.99, "outside": 0.9},
        "style": more.get("style", 0.9),
        "no_annotation": more.get("no_annotation", 0.0),
        "unclosed": 0.0,
        "annotation_followed": None,
        "request_followed": {
            "topic_inside": 0.9,
            "topic_outside": more.get("outside", 0.8),
            "name": 0.7,
        },
        "request_valid": {"topic_inside": 0.98, "topic_outside": more.get("valid_outside", 0.96)},
        "request_in_annotation": more.get("copied"),
        "prior_kl_bits": {"topic": more["kl"]} if "kl" in more else None,
        "samples": 600,
    }


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(content))


def write_seed(
    out: Path,
    seed: int,
    arms: Sequence[Mapping[str, Any]],
    numbers: Mapping[str, Numbers],
    *,
    world: Mapping[str, Any] | None = None,
    losses: Mapping[str, Sequence[float]] | None = None,
    runs: Mapping[str, Any] | None = None,
) -> Path:
    """:param numbers: of the finished arms; the others lie there as if never begun.
    :param losses: held-out, by arm, one for each evaluation of its run; with annotations where the
        arm has any.
    :param runs: what the manifest of an arm's run has as its ``config``, beside what all have.
    """
    folder = out / f"seed-{seed}"
    grid = {
        "seed": seed,
        "grid": {"path": "train_configs/study.yaml", "sha256": "ab" * 32},
        "world": world or {"documents": 30_000},
        "versions": {"olmo-anchor": "0.1.0", "torch": "2.13.0"},
        "arms": list(arms),
    }
    write(folder / "grid.json", grid)
    write(folder / "times.json", {"seconds": 1234.5, "stages": [{"name": "world", "seconds": 1.0}]})
    for one in arms:
        name = one["name"]
        if name not in numbers:
            continue
        write(folder / "arms" / name / "summary.json", {"arms": {name: numbers[name]}})
        write(folder / "arms" / name / "manifest.json", {})
        if one["run"]:
            parameters = SIZES[one["size"]]
            optim = {"optim": {"eps": one.get("eps", 1e-4)}}
            config = {"train_module": optim, **(runs or {}).get(name, {})}
            manifest = {"counts": {"parameters": parameters}, "config": config}
            write(folder / one["run"] / "manifest.json", manifest)
            annotated = {} if one["method"] == "sft_standard" else {"drift/value/CE loss": 2.0}
            lines = [
                orjson.dumps({"step": step, "drift/text/CE loss": loss, **annotated})
                for step, loss in enumerate((losses or {}).get(name, ()))
            ]
            (folder / one["run"] / "metrics.jsonl").write_bytes(b"\n".join(lines))
    return folder
