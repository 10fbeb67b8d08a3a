"""``olmo-anchor study demo``: the whole comparison, from nothing to a report, with the real
commands.

OUT/seed-N/world, tokens, annotations, overlay            the corpus
OUT/seed-N/sft_tokens, sft_annotations, sft_overlay       the conversations
OUT/seed-N/base_standard, base_annotated                  two runs: same corpus, same budget
OUT/seed-N/sft_standard, sft_anchored                     two runs: same conversations and steps
OUT/seed-N/models/ARM, generations/ARM.jsonl, evaluation  four arms
OUT/seed-N/summary.json, times.json, logs/STAGE.log
OUT/report.html
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import write_json
from olmo_anchor.progress import console
from olmo_anchor.study.pipeline import Pipeline, Stage

__all__ = ["ARMS", "DemoConfig", "story_stages"]

ARMS = ("base_standard", "base_annotated", "sft_standard", "sft_anchored")
_BASE_OF = {"sft_standard": "base_standard", "sft_anchored": "base_annotated"}

REPOSITORY = Path(__file__).resolve().parents[2]


def _olmo_anchor(*words: object) -> tuple[str, ...]:
    beside = Path(sys.executable).with_name("olmo-anchor")
    program = (str(beside),) if beside.exists() else (sys.executable, "-m", "olmo_anchor.cli")
    return (*program, *map(str, words))


def story_stages(
    root: Path, seed: int, *, engine: str = "hf", documents: int | None = None
) -> list[Stage]:
    """The stages of one seed, in an order that a reader can follow.

    :param root: the seed's folder.
    :param documents: pretraining documents, for a small run; default the world's.
    """
    recipes = REPOSITORY / "train_configs"
    world = root / "world"
    size = ("--documents", str(documents)) if documents else ()
    stages = [
        Stage(
            "world",
            _olmo_anchor(
                *("study", "world", "--out", world, "--seed", str(seed), *size, "--overwrite")
            ),
            world / "manifest.json",
        )
    ]
    for prefix, source, truth, chat in (
        ("", "documents.jsonl", "truth.jsonl", ()),
        ("sft_", "conversations.jsonl", "conversations_truth.jsonl", ("--chat",)),
    ):
        tokens, notes, overlay = (
            root / f"{prefix}{what}" for what in ("tokens", "annotations", "overlay")
        )
        stages += [
            Stage(
                tokens.name,
                _olmo_anchor(
                    *("tokenize", world / source, "--tokenizer", world / "tokenizer.json"),
                    *(*chat, "--out", tokens, "--overwrite"),
                ),
                tokens / "manifest.json",
                ("world",),
            ),
            Stage(
                notes.name,
                _olmo_anchor(
                    *("annotate", tokens, "--annotator", "oracle"),
                    *("--annotations", world / truth, "--schema", world / "schema.json"),
                    *("--out", notes, "--overwrite"),
                ),
                notes / "manifest.json",
                (tokens.name,),
            ),
            Stage(
                overlay.name,
                _olmo_anchor("overlay", tokens, notes, "--out", overlay, "--overwrite"),
                overlay / "manifest.json",
                (notes.name,),
            ),
        ]
    for arm in ARMS:
        base = _BASE_OF.get(arm)
        prefix = "sft_" if base else ""
        load = ("--load-path", root / base) if base else ()
        argv = (
            *(sys.executable, recipes / f"story_{arm}.py"),
            *("--tokens", root / f"{prefix}tokens", "--overlay", root / f"{prefix}overlay"),
            *(*load, "--save-folder", root / arm),
            *(f"--{what}={seed}" for what in ("init_seed", "data_loader.seed", "dataset.seed")),
            f"--collator.seed={seed}",
        )
        needs = (f"{prefix}overlay", *((base,) if base else ()))
        done = root / arm / "manifest.json"
        stages.append(Stage(arm, tuple(map(str, argv)), done, needs))
    for arm in ARMS:
        model, out = root / "models" / arm, root / "generations" / f"{arm}.jsonl"
        asked = "prompts_chat.jsonl" if arm in _BASE_OF else "prompts_base.jsonl"
        stages += [
            Stage(
                f"export_{arm}",
                _olmo_anchor("export", root / arm, model, "--overwrite"),
                model / "manifest.json",
                (arm,),
            ),
            Stage(
                f"generate_{arm}",
                _olmo_anchor(
                    *("generate", model, "--prompts", world / asked, "--out", out),
                    *("--engine", engine, "--num-samples", "1", "--max-tokens", "200"),
                    *("--seed", str(seed), "--overwrite"),
                ),
                out.with_name(f"{arm}.manifest.json"),
                (f"export_{arm}",),
            ),
        ]
    models = [word for arm in ARMS for word in ("--model", f"{arm}={root}/generations/{arm}.jsonl")]
    stages.append(
        Stage(
            "evaluation",
            _olmo_anchor(
                *("evaluate", "--suite", REPOSITORY / "evals" / "story_world.yaml", *models),
                *("--out", root / "evaluation", "--overwrite"),
            ),
            root / "evaluation" / "manifest.json",
            tuple(f"generate_{arm}" for arm in ARMS),
        )
    )
    return stages


@dataclass(frozen=True)
class DemoConfig:
    """:param seeds: one comparison each; a world, its models and its samples follow from the seed.
    :param engine: what samples: ``hf`` (installed with the demo) or ``vllm``.
    :param parallel: stages at a time; two processes with one thread each beat one with two.
    """

    out: Path
    seeds: tuple[int, ...] = (0,)
    engine: str = "hf"
    documents: int | None = None
    parallel: int = 2

    def run(self) -> Path:
        """Run what is missing; returns the path of the report.

        :raises InputError: when the recipes are not beside the package.
        :raises WorkFailed: when a stage fails; the same call goes on from there.
        """
        if not (REPOSITORY / "train_configs").is_dir():
            raise InputError(
                f"{REPOSITORY}: there are no train_configs/ here; run the demo from a clone of the "
                "repository, installed with pip install --editable"
            )
        folders = []
        for seed in self.seeds:
            root = self.out / f"seed-{seed}"
            stages = story_stages(root, seed, engine=self.engine, documents=self.documents)
            run_stages(stages, root, title=f"seed {seed}", parallel=self.parallel)
            shutil.copyfile(root / "evaluation" / "summary.json", root / "summary.json")
            folders.append(root)
        from olmo_anchor.report.page import write_report

        page = self.out / "report.html"
        write_report(folders, page)
        console.print(f"\nThe page: {page}", highlight=False)
        return page


def run_stages(stages: list[Stage], root: Path, *, title: str, parallel: int) -> None:
    """Run a pipeline and keep the seconds of its stages, over all resumed runs, in
    ``times.json``."""
    path = root / "times.json"
    times: dict[str, float] = {}
    if path.is_file():
        stored = orjson.loads(path.read_bytes())
        times = {stage["name"]: stage["seconds"] for stage in stored["stages"]}
    wall = stored["seconds"] if times else 0.0
    began = time.monotonic()

    def keep(stage: Stage, seconds: float) -> None:
        times[stage.name] = round(seconds, 1)
        write_json(
            path,
            {
                "seconds": round(wall + time.monotonic() - began, 1),
                "stages": [{"name": name, "seconds": took} for name, took in times.items()],
            },
        )

    Pipeline(stages, root / "logs", title, parallel, keep).run()
