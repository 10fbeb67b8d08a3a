"""``olmo-anchor generate``: a model folder and a prompts file to a generations file.

Samples are appended to ``OUT`` (see ``records.py``) as they finish, and put into the order of the
prompts at the end. ``NAME.manifest.json`` beside it is written last: without it the file is
unfinished. A sample depends on the model, the engine, the sampling options, the seed, its prompt's
id and text, and its own number; so it is the same whichever others are made in the same run.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from olmo_anchor.chat import TURN_END
from olmo_anchor.engines import Engine, Sampling, derive_seed, open_engine
from olmo_anchor.engines.identity import model_hash
from olmo_anchor.errors import InputError
from olmo_anchor.generation.decode import AnnotationMode, Job, sample_jobs
from olmo_anchor.generation.prompts import Prompt, read_prompts
from olmo_anchor.generation.records import record_of, sort_records
from olmo_anchor.journal import Journal, Rejects, check_rejected, rejected_line
from olmo_anchor.manifest import (
    Manifest,
    file_record,
    read_manifest,
    sha256_file,
    write_json,
)
from olmo_anchor.progress import progress
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["GenerateConfig", "sidecar", "summary"]

_SIDECARS = ("manifest.json", "rejected.jsonl", "refused.jsonl", "running.json")


def sidecar(out: Path, what: str) -> Path:
    """``generations.jsonl`` -> ``generations.WHAT``: what belongs to a generations file."""
    return out.with_name(f"{out.stem}.{what}")


@dataclass(frozen=True)
class GenerateConfig:
    """Everything that a generations file depends on; the defaults of the command are these.

    :param engine: ``"hf"``, ``"vllm"`` or ``None``: vLLM where it is installed.
    :param max_tokens: of a response; an annotation takes nothing from it.
    :param max_annotation_tokens: delimiters included; a longer annotation is left unclosed.
    :param batch_size: samples made at a time; has no influence on them.
    :param stop: a response is cut before the first of these texts.
    :param max_rejected: the share of prompts that may be unusable; without one,
        :func:`~olmo_anchor.journal.default_share`.
    """

    model: Path
    prompts: Path
    out: Path
    engine: str | None = None
    num_samples: int = 10
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    max_annotation_tokens: int = 256
    seed: int = 0
    annotation: AnnotationMode = "sample"
    stop: tuple[str, ...] = ()
    batch_size: int | None = None
    max_rejected: float | None = None
    overwrite: bool = False
    resume: bool = False

    def run(self) -> Manifest:
        """Make what is missing of the generations file and finish it.

        :raises InputError: for bad input, or an ``out`` that exists and may be neither overwritten
            nor resumed, or was made with other settings.
        :raises WorkFailed: when too many prompts are unusable.
        """
        started = time.monotonic()
        try:
            sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.seed)
        except ValueError as error:
            raise InputError(str(error)) from None
        self._check_options()
        if not self.model.is_dir():
            raise InputError(f"{self.model}: no such folder; make one with `olmo-anchor export`")
        if not (self.model / "config.json").is_file():
            raise InputError(
                f"{self.model}: not a model folder (it has no config.json); make one with "
                "`olmo-anchor export`"
            )
        if not self.prompts.is_file():
            raise InputError(f"{self.prompts}: no such file; prompts are JSONL")
        tokenizer = AnchorTokenizer.load(self.model)
        settings = self._settings()
        if finished := self._check_out(settings):
            return finished
        options = {} if self.batch_size is None else {"batch_size": self.batch_size}
        engine = open_engine(settings["engine"], self.model, **options)
        prompts, unusable = read_prompts(self.prompts, tokenizer, engine.max_length)

        # A refused call leaves what an earlier one wrote, its rejects too.
        refused = self._beside("refused.jsonl")
        refused.unlink(missing_ok=True)
        rejects = Rejects(refused)
        for line, reason in unusable:
            rejects.add(reason, file=str(self.prompts), line=line)
        rejects.close()
        check_rejected(rejects, len(prompts) + rejects.count, self.max_rejected)

        # All input is good: from here on files are written.
        if self.overwrite:
            self.out.unlink(missing_ok=True)
        for stale in ("manifest.json", "rejected.jsonl"):
            self._beside(stale).unlink(missing_ok=True)
        if rejects.count:
            refused.replace(self._beside("rejected.jsonl"))
        write_json(self._beside("running.json"), settings)
        self._sample(engine, tokenizer, prompts, sampling)
        counts = sort_records(self.out, prompts)
        return self._finish(settings, counts, rejects.count, time.monotonic() - started)

    def _check_options(self) -> None:
        for option, value, least in (
            ("--num-samples", self.num_samples, 1),
            # Both delimiters count.
            ("--max-annotation-tokens", self.max_annotation_tokens, 2),
            ("--batch-size", 1 if self.batch_size is None else self.batch_size, 1),
        ):
            if value < least:
                raise InputError(f"{option} must be at least {least}, it is {value}")
        if "" in self.stop:
            raise InputError("--stop is an empty text, which would cut every response to nothing")

    def _beside(self, what: str) -> Path:
        return sidecar(self.out, what)

    def _settings(self) -> dict[str, Any]:
        """What must be equal for a file to be resumed: all that its samples depend on."""
        left_out = {"out", "batch_size", "max_rejected", "overwrite", "resume"}
        settings = {name: value for name, value in asdict(self).items() if name not in left_out}
        settings["engine"] = self.engine or ("vllm" if find_spec("vllm") else "hf")
        settings["model"] = {"path": str(self.model.resolve()), "sha256": model_hash(self.model)}
        settings["prompts"] = file_record(self.prompts)
        settings["stop"] = list(self.stop)
        return settings

    def _check_out(self, settings: dict[str, Any]) -> Manifest | None:
        """The manifest where all is done already, else ``None`` where this run may write."""
        if self.overwrite and self.resume:
            raise InputError("--overwrite and --resume exclude each other: give one")
        written = [self.out, *map(self._beside, _SIDECARS)]
        if self.prompts.resolve() in {path.resolve() for path in written}:
            raise InputError(
                f"{self.prompts}: holds the prompts, and --out {self.out} would write it; "
                "name another --out"
            )
        if not self.out.exists():
            return None
        if not (self.overwrite or self.resume):
            raise InputError(f"{self.out}: exists; --resume finishes it, --overwrite replaces it")
        manifest = None
        if self._beside("manifest.json").exists():
            manifest = read_manifest(
                self.out.parent, "generations", f"{self.out.stem}.manifest.json"
            )
            made_with = manifest.config
        elif self._beside("running.json").exists():
            made_with = orjson.loads(self._beside("running.json").read_bytes())
        else:
            raise InputError(
                f"{self.out}: was not made by `olmo-anchor generate`; name another file"
            )
        if self.overwrite:
            return None
        if manifest and manifest.outputs[0]["sha256"] != sha256_file(self.out):
            raise InputError(
                f"{self.out}: has changed since it was finished; --overwrite makes it again"
            )
        changed = [
            name for name in settings if _content(made_with.get(name)) != _content(settings[name])
        ]
        if changed:
            raise InputError(
                f"{self.out}: was made with another {', '.join(changed)}; "
                "resume it with the same settings, or replace it with --overwrite"
            )
        return manifest

    def _sample(
        self,
        engine: Engine,
        tokenizer: AnchorTokenizer,
        prompts: list[Prompt],
        sampling: Sampling,
    ) -> None:
        """Append every sample that is not in ``out`` yet."""
        ends = [tokenizer.control.end_of_text]
        if TURN_END in tokenizer.control_strings:
            ends.append(tokenizer.special(TURN_END))
        sampling = replace(sampling, stop_ids=tuple(ends))
        with Journal(self.out) as journal:
            done: dict[str, set[int]] = defaultdict(set)
            for record in journal.records():
                done[record["prompt_id"]].add(record["sample"])
            missing = len(prompts) * self.num_samples - sum(map(len, done.values()))
            jobs = (
                Job(
                    index,
                    sample,
                    derive_seed(self.seed, prompt.id, sample),
                    prompt.ids,
                    prompt.prefill_ids,
                )
                for index, prompt in enumerate(prompts)
                for sample in range(self.num_samples)
                if sample not in done.get(prompt.id, ())
            )
            with progress("sampling", missing) as advance:
                for made in sample_jobs(
                    engine,
                    jobs,
                    sampling,
                    tokenizer.control,
                    self.annotation,
                    self.max_annotation_tokens,
                ):
                    journal.append(record_of(prompts[made.job.prompt], made, tokenizer, self.stop))
                    advance()

    def _finish(
        self, settings: dict[str, Any], counts: dict[str, int], rejected: int, seconds: float
    ) -> Manifest:
        model = settings["model"]
        manifest = Manifest(
            kind="generations",
            inputs=[settings["prompts"], model],
            config=settings,
            counts={**counts, "rejected": rejected},
            outputs=[file_record(self.out, self.out.parent)],
            seed=self.seed,
            seconds=round(seconds, 3),
        )
        manifest.write(self.out.parent, f"{self.out.stem}.manifest.json")
        self._beside("running.json").unlink(missing_ok=True)
        return manifest


def summary(manifest: Manifest, out: Path) -> str:
    """What a person wants to know when it is done, with the next command."""
    counts, rejects = manifest.counts, Rejects(sidecar(out, "rejected.jsonl"))
    rejects.close()
    total = counts["prompts"] + counts["rejected"]
    return (
        f"{out}: {counts['samples']} samples of {counts['prompts']} prompts, "
        f"{counts['no_annotation']} without annotation, {counts['unclosed']} unclosed, "
        f"{counts['out_of_context']} out of the model's context\n"
        f"{rejected_line(rejects.reasons, total, rejects.path)}\n"
        f"next: olmo-anchor evaluate --suite evals/SUITE.yaml --model NAME={out} --out SCORES_DIR"
    )


def _content(setting: Any) -> Any:
    """A file that has moved is the same file."""
    return setting["sha256"] if isinstance(setting, dict) else setting
