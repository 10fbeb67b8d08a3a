"""The arms of a grid as stages of one seed, each a command that a user could type.

Below the folder of a seed; a stage is named by what it writes there::

    world                                                      prompts, corpus, labels
    corpus/tokens, corpus/ANNOTATIONS/{truth.jsonl, annotations, overlay}
    data/DATA/{conversations, tokens}, data/DATA/ANNOTATIONS/{...}
    bases/BASE, runs/ARM                                       training runs
    models/bases/BASE, models/ARM                              exported
    generations/ARM.jsonl, arms/ARM/summary.json
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.study.grid.grid import MAIN, Annotations, Arm, Grid
from olmo_anchor.study.pipeline.commands import REPOSITORY, olmo_anchor
from olmo_anchor.study.pipeline.stage import Stage

__all__ = ["SeedStages", "overrides"]

_TOKENS = 66
"""Of pretraining, for each document of a smaller or larger world, as the recipes have them."""


def overrides(settings: Any) -> list[str]:
    """``{"optim.lr": 0.1}`` as ``--optim.lr=0.1``; sorted: their order makes no other run."""
    return [
        f"--{name}={value if isinstance(value, str) else orjson.dumps(value).decode()}"
        for name, value in sorted(settings.items())
    ]


@dataclass
class SeedStages:
    """:param root: the folder of the seed.
    :param documents: of pretraining; default the world's.
    """

    grid: Grid
    root: Path
    seed: int
    engine: str = "hf"
    documents: int | None = None
    _stages: dict[str, Stage] = field(init=False, default_factory=dict)

    def of(self, arms: Sequence[Arm]) -> list[Stage]:
        """All that the arms need: first what bases are made of, then the bases, the longest first,
        so that two processes stay busy; then arm by arm.
        """
        self._stages = {}
        self._world()
        trained = {arm.model: arm for arm in arms}
        largest = sorted(trained.values(), key=lambda arm: -self._cost(arm))
        for name in dict.fromkeys(self.grid.bases[arm.base].annotations for arm in largest):
            self._annotate("corpus", self.root / "world", name)
        for arm in largest:
            self._base(arm)
        for arm in arms:
            self._arm(arm)
        return list(self._stages.values())

    def _cost(self, arm: Arm) -> float:
        return self.grid.sizes[arm.size] if arm.size else 1.0

    def _add(
        self,
        name: str,
        argv: Sequence[str],
        done: str,
        *needs: str,
        cost: float = 1.0,
        **options: Any,
    ) -> None:
        if name not in self._stages:
            stage = Stage(name, tuple(argv), self.root / done, needs, cost=cost, **options)
            self._stages[name] = stage

    def _world(self) -> None:
        words: list[object] = ["--out", self.root / "world", "--seed", self.seed]
        if self.grid.world:
            words += ["--world", REPOSITORY / self.grid.world]
        if self.documents:
            words += ["--documents", self.documents]
        command = olmo_anchor("study", "world", *words, "--overwrite")
        self._add("world", command, "world/manifest.json")

    def _annotate(self, folder: str, source: Path, name: str) -> str:
        """Tokens of ``source``, and annotations by its true labels; the name of the overlay."""
        world, needs = self.root / "world", ["world"]
        lines, chat = source / "documents.jsonl", list[str]()
        if folder != "corpus":
            needs = [f"{folder}/conversations"]
            lines, chat = source / "conversations.jsonl", ["--chat", "--layout", "plain"]
        tokens, below = f"{folder}/tokens", f"{folder}/{name}"
        command = olmo_anchor(
            *("tokenize", lines, "--tokenizer", world / "tokenizer.json", *chat),
            *("--out", self.root / tokens, "--overwrite"),
        )
        self._add(tokens, command, f"{tokens}/manifest.json", *needs)
        truth, notes, overlay = (f"{below}/{what}" for what in ("truth", "annotations", "overlay"))
        how = self.grid.annotations[name]
        command = olmo_anchor(
            *("study", "truth", source / "labels.jsonl", "--world", world, *_noise(how)),
            *("--seed", self.seed, "--out", self.root / f"{truth}.jsonl"),
        )
        self._add(truth, command, f"{truth}.jsonl", *needs)
        command = olmo_anchor(
            *("annotate", self.root / tokens, "--annotator", "oracle"),
            *("--annotations", self.root / f"{truth}.jsonl", "--schema", world / "schema.json"),
            *("--out", self.root / notes, "--overwrite"),
        )
        self._add(notes, command, f"{notes}/manifest.json", tokens, truth)
        command = olmo_anchor(
            *("overlay", self.root / tokens, self.root / notes),
            *("--out", self.root / overlay, "--overwrite"),
        )
        self._add(overlay, command, f"{overlay}/manifest.json", notes)
        return overlay

    def _base(self, arm: Arm) -> None:
        base = self.grid.bases[arm.base]
        overlay = f"corpus/{base.annotations}/overlay"
        argv = self._train(base.recipe, "corpus/tokens", overlay, arm, base.set)
        if self.documents:
            argv += ["--budget", str(_TOKENS * self.documents)]
        self._run(f"bases/{arm.starts_from}", argv, overlay, cost=self._cost(arm))

    def _arm(self, arm: Arm) -> None:
        model = f"models/{arm.model}"
        # A base is asked for what main's data has and has not, as the models that SFT made are.
        conversations = self._conversations(arm.data or MAIN)
        compared: list[object] = ["--taught", self.root / conversations / "labels.jsonl"]
        if arm.recipe is None:
            model = self._export(f"bases/{arm.starts_from}")
        else:
            run = f"runs/{arm.model}"
            overlay = self._data(arm)
            load = f"bases/{arm.starts_from}"
            argv = self._train(
                arm.recipe, f"data/{arm.data}/tokens", overlay, arm, arm.set, load=load
            )
            self._run(run, argv, overlay, load, cost=self._cost(arm))
            self._export(run)
            compared += ["--before", self.root / self._export(load)]
        self._sample(arm, model)
        self._evaluate(arm, compared, conversations)

    def _data(self, arm: Arm) -> str:
        conversations = self._conversations(str(arm.data))
        return self._annotate(f"data/{arm.data}", self.root / conversations, arm.annotations)

    def _conversations(self, name: str) -> str:
        data, out = self.grid.data[name], f"data/{name}/conversations"
        only = [word for name, value in data.only for word in ("--only", f"{name}={value}")]
        command = olmo_anchor(
            *("study", "conversations", self.root / "world", "--seed", self.seed),
            *("--conversations", data.conversations, *only),
            *("--out", self.root / out, "--overwrite"),
        )
        self._add(out, command, f"{out}/manifest.json", "world")
        return out

    def _train(
        self,
        recipe: str,
        tokens: str,
        overlay: str,
        arm: Arm,
        settings: Any,
        *,
        load: str | None = None,
    ) -> list[str]:
        words: list[object] = [
            *(sys.executable, REPOSITORY / "train_configs" / f"{recipe}.py"),
            *("--tokens", self.root / tokens, "--overlay", self.root / overlay),
            *(("--load-path", self.root / load) if load else ()),
            *("--seed", self.seed),
            *(("--size", arm.size) if arm.size else ()),
            *overrides(settings),
        ]
        return list(map(str, words))

    def _run(self, name: str, argv: list[str], *needs: str, cost: float) -> None:
        folder = self.root / name
        argv = [*argv, "--save-folder", str(folder)]
        self._add(name, argv, f"{name}/manifest.json", *needs, cost=cost, resumes=folder)

    def _export(self, run: str) -> str:
        name = f"models/{run.removeprefix('runs/')}"
        command = olmo_anchor("export", self.root / run, self.root / name, "--overwrite")
        self._add(name, command, f"{name}/manifest.json", run)
        return name

    def _sample(self, arm: Arm, model: str) -> None:
        name = f"generations/{arm.name}"
        prompts = "prompts_base.jsonl" if arm.recipe is None else "prompts_chat.jsonl"
        options = [
            word
            for option, value in {**self.grid.sample, **arm.sample}.items()
            for word in (f"--{option.replace('_', '-')}", value)
        ]
        command = olmo_anchor(
            *("generate", self.root / model, "--prompts", self.root / "world" / prompts),
            *("--engine", self.engine, *options, "--seed", self.seed),
            *("--out", self.root / f"{name}.jsonl", "--overwrite"),
        )
        self._add(name, command, f"{name}.manifest.json", model, "world", cost=self._cost(arm))

    def _evaluate(self, arm: Arm, compared: Sequence[object], conversations: str) -> None:
        name = f"arms/{arm.name}"
        suite = REPOSITORY / "evals" / f"{self.grid.suite}.yaml"
        short = arm.name.rpartition("/")[2]
        command = olmo_anchor(
            *("evaluate", "--suite", suite),
            *("--model", f"{short}={self.root / 'generations' / arm.name}.jsonl"),
            *compared,
            *("--out", self.root / name, "--overwrite"),
        )
        needs = [f"generations/{arm.name}", conversations]
        if arm.recipe is not None:
            needs.append(f"models/bases/{arm.starts_from}")
        self._add(name, command, f"{name}/manifest.json", *needs, reads=(suite,))


def _noise(how: Annotations) -> list[object]:
    words: list[object] = ["--attributes", ",".join(how.attributes)]
    if how.wrong:
        words += ["--wrong", how.wrong]
        words += ["--among", how.among] if how.among != Annotations.among else []
    if how.without:
        words += ["--without", how.without]
    return words
