"""``olmo-anchor annotate``: what its options mean."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from olmo_anchor.annotate.job import AnnotateConfig, open_tokens, summary
from olmo_anchor.annotate.llm_config import LLMConfig
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.annotate.sample import annotate_sample, estimate, show
from olmo_anchor.errors import InputError

__all__ = ["run"]

_SAMPLE = 100
_FEW = 5


def run(
    *,
    annotator: str,
    out: Path | None,
    executor_options: Path | None,
    sample: int | None,
    show: bool,
    estimate: bool,
    gpus: int | None,
    gpu_hour: float | None,
    seed: int,
    dry_run: bool,
    **options: Any,
) -> str:
    """Do what the options say; what to print.

    :raises InputError: when options contradict each other, and as :meth:`AnnotateConfig.run`.
    :raises WorkFailed: as :meth:`AnnotateConfig.run`.
    """
    looks = bool(sample or show or estimate or dry_run)
    if out is None and not looks:
        raise InputError("--out DIR says where the annotations go; or give --sample N to look")
    llm = LLMConfig(**{field.name: options.pop(field.name) for field in fields(LLMConfig)})
    config = AnnotateConfig(
        annotator=AnnotatorConfig(
            name=annotator,
            annotations=options.pop("annotations"),
            schema=options.pop("schema"),
            llm=llm,
            chat=open_tokens(options["tokens"]).chat,
        ),
        out=out or Path(),
        executor_options=_read_options(executor_options),
        **options,
    )
    if looks:
        size = sample or (_FEW if dry_run else _SAMPLE)
        return _look(config, size, seed, show, estimate, gpus, gpu_hour)
    manifest = config.run()
    return "" if manifest is None else summary(manifest, config)


def _look(
    config: AnnotateConfig,
    size: int,
    seed: int,
    shown: bool,
    estimated: bool,
    gpus: int | None,
    gpu_hour: float | None,
) -> str:
    answers, seconds = annotate_sample(config, size, seed)
    if not answers:
        raise InputError(
            f"{config.tokens}: none of {size} random tokens is in a chunk; sample more"
        )
    said = []
    if shown or not estimated:
        said.append(show(answers))
    said.append(f"sample: {len(answers)} chunks in {seconds:.1f} s; nothing was written")
    if estimated:
        told = estimate(config.tokens, answers, size, seconds)
        said.append(told.text(gpus=gpus, gpu_hour=gpu_hour))
    return "\n".join(said)


def _read_options(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        options = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(options, dict):
        raise InputError(f"{path}: options are `name: value`, such as `partition: gpu`")
    return options
