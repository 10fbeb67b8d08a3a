"""The comparison of four arms as stages, each a command that a user could type.

Below the folder of a seed::

    tokens, annotations, overlay                        the corpus
    sft_tokens, sft_annotations, sft_overlay            the conversations
    base_standard, base_annotated                       two runs: same corpus, same budget
    sft_standard, sft_anchored                          two runs: same conversations and steps
    models/ARM, generations/ARM.jsonl, evaluation       four arms
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from olmo_anchor.study.pipeline.commands import REPOSITORY, olmo_anchor
from olmo_anchor.study.pipeline.stage import Stage

__all__ = [
    "ARMS",
    "STORY_WORLD",
    "Choices",
    "Material",
    "comparison",
    "story_world",
]

ARMS = ("base_standard", "base_annotated", "sft_standard", "sft_anchored")
_BASE_OF = {"sft_standard": "base_standard", "sft_anchored": "base_annotated"}


@dataclass(frozen=True)
class Choices:
    """The files of the repository that say what is trained and what is measured.

    :param recipes: prefix of the four files in ``train_configs/``.
    """

    recipes: str
    suite: Path

    def recipe(self, arm: str) -> Path:
        return REPOSITORY / "train_configs" / f"{self.recipes}_{arm}.py"

    def files(self) -> list[Path]:
        return [*map(self.recipe, ARMS), self.suite]


STORY_WORLD = Choices("story", REPOSITORY / "evals" / "story_world.yaml")


@dataclass(frozen=True)
class Material:
    """What is compared on.

    :param first: stages that make the files named here; all others need them.
    :param annotate: options of ``annotate`` for the corpus and for the conversations.
    :param prompts: for the bases and for the SFT models.
    :param sampling: options of ``generate``.
    """

    documents: Path
    conversations: Path
    tokenizer: str
    annotate: tuple[tuple[str, ...], tuple[str, ...]]
    prompts: tuple[Path, Path]
    choices: Choices
    sampling: tuple[str, ...]
    first: tuple[Stage, ...] = ()
    tokenize_chat: tuple[str, ...] = ()


def story_world(root: Path, seed: int, *, documents: int | None = None) -> Material:
    """The built-in world, written to ``root/world``.

    :param documents: pretraining documents, for a small run; default the world's.
    """
    world = root / "world"
    size = ("--documents", documents) if documents else ()
    write = olmo_anchor("study", "world", "--out", world, "--seed", seed, *size, "--overwrite")

    def oracle(truth: str) -> tuple[str, ...]:
        options = ("--annotator", "oracle", "--annotations", world / truth)
        return tuple(map(str, (*options, "--schema", world / "schema.json")))

    return Material(
        documents=world / "documents.jsonl",
        conversations=world / "conversations.jsonl",
        tokenizer=str(world / "tokenizer.json"),
        annotate=(oracle("truth.jsonl"), oracle("conversations_truth.jsonl")),
        prompts=(world / "prompts_base.jsonl", world / "prompts_chat.jsonl"),
        choices=STORY_WORLD,
        sampling=("--num-samples", "1", "--max-tokens", "200"),
        # Requests as pretraining has them: see docs/log.md for what untrained chat tokens do.
        tokenize_chat=("--layout", "plain"),
        first=(Stage("world", write, world / "manifest.json"),),
    )


def comparison(root: Path, seed: int, material: Material, *, engine: str = "hf") -> list[Stage]:
    """The stages of one seed, in an order that a reader can follow."""
    return [
        *material.first,
        *_prepare(root, material),
        *(_train(root, seed, material, arm) for arm in ARMS),
        *(stage for arm in ARMS for stage in _sample(root, seed, material, arm, engine)),
        _evaluate(root, material),
    ]


def _prepare(root: Path, material: Material) -> list[Stage]:
    first = tuple(stage.name for stage in material.first)
    sources = (
        ("", material.documents, material.annotate[0], ()),
        ("sft_", material.conversations, material.annotate[1], ("--chat", *material.tokenize_chat)),
    )
    stages = []
    for prefix, source, annotate, chat in sources:
        tokens, notes, overlay = (
            root / f"{prefix}{what}" for what in ("tokens", "annotations", "overlay")
        )
        words: tuple[object, ...] = (source, "--tokenizer", material.tokenizer, *chat)
        for out, needs, argv in (
            (tokens, first, ("tokenize", *words)),
            (notes, (tokens.name,), ("annotate", tokens, *annotate)),
            (overlay, (notes.name,), ("overlay", tokens, notes)),
        ):
            command = olmo_anchor(*argv, "--out", out, "--overwrite")
            stages.append(Stage(out.name, command, out / "manifest.json", needs))
    return stages


def _train(root: Path, seed: int, material: Material, arm: str) -> Stage:
    base = _BASE_OF.get(arm)
    prefix = "sft_" if base else ""
    argv: tuple[object, ...] = (
        *(sys.executable, material.choices.recipe(arm)),
        *("--tokens", root / f"{prefix}tokens", "--overlay", root / f"{prefix}overlay"),
        *(("--load-path", root / base) if base else ()),
        *("--save-folder", root / arm),
        *("--seed", seed),
    )
    needs = (f"{prefix}overlay", *((base,) if base else ()))
    return Stage(arm, tuple(map(str, argv)), root / arm / "manifest.json", needs)


def _sample(root: Path, seed: int, material: Material, arm: str, engine: str) -> list[Stage]:
    model, out = root / "models" / arm, root / "generations" / f"{arm}.jsonl"
    export = olmo_anchor("export", root / arm, model, "--overwrite")
    generate = olmo_anchor(
        *("generate", model, "--prompts", material.prompts[arm in _BASE_OF], "--out", out),
        *("--engine", engine, *material.sampling, "--seed", seed, "--overwrite"),
    )
    sidecar = out.with_name(f"{arm}.manifest.json")
    return [
        Stage(f"export_{arm}", export, model / "manifest.json", (arm,)),
        Stage(f"generate_{arm}", generate, sidecar, (f"export_{arm}",)),
    ]


def _evaluate(root: Path, material: Material) -> Stage:
    out = root / "evaluation"
    models = [word for arm in ARMS for word in ("--model", f"{arm}={root}/generations/{arm}.jsonl")]
    suite = material.choices.suite
    command = olmo_anchor("evaluate", "--suite", suite, *models, "--out", out, "--overwrite")
    needs = tuple(f"generate_{arm}" for arm in ARMS)
    return Stage("evaluation", command, out / "manifest.json", needs)
