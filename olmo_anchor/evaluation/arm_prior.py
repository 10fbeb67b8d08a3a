"""How far post-training moved what an arm annotates, from the model that it started from.

::

    prior_kl_bits        KL(arm || before) of the first annotated value, exact, mean over the open
                         prompts: what the model chooses when nothing is asked for
    annotation_kl_bits   the same of whole annotations, from those that the arm wrote, after open
                         prompts and after those that name a value: whether it still reads what is
                         asked for
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from olmo_anchor.evaluation.arms import Asked
from olmo_anchor.evaluation.generations import NotMeasured, manifest_of, model_of
from olmo_anchor.evaluation.prior import kl_bits, log_prior
from olmo_anchor.evaluation.prior_scored import log_scores, mean_log_ratio, not_plain_samples
from olmo_anchor.evaluation.samples import Sample
from olmo_anchor.evaluation.suite import ArmSuite

__all__ = ["Priors"]

Floats = NDArray[np.float64]


class Priors:
    """Drift of several arms; the prior of a model is scored once for the same prompts.

    :param values: of each label, all that it can have.
    :param engine: that scores.
    """

    def __init__(self, suite: ArmSuite, values: Mapping[str, Sequence[str]], engine: str) -> None:
        self._suite, self._values, self._engine = suite, values, engine
        self._known: dict[tuple[Path, bytes], Floats] = {}

    def of_arm(
        self, opened: Sequence[Sample], asked: Asked, before: Path | None, generations: Path
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """
        :param before: a model folder; without one there is nothing to compare.
        :param generations: the answers of the arm, whose manifest names its model.
        :returns: what this module's docstring lists, None where it was not measured, and why not.
        :raises InputError: when a folder holds no model, or a prompt is too long for it.
        """
        measures = {"prior_kl_bits": self._prior, "annotation_kl_bits": self._annotations}
        found: dict[str, Any] = dict.fromkeys(measures)
        reasons: dict[str, str] = {}
        if self._suite.prior is None or before is None:
            return found, reasons
        for name, measure in measures.items():
            try:
                if not any(s.annotation for s in opened):
                    raise NotMeasured("no answer to an open prompt has an annotation")
                found[name] = measure(opened, asked, before, generations)
            except NotMeasured as why:
                reasons[name] = str(why)
        return found, reasons

    def _prior(
        self, opened: Sequence[Sample], asked: Asked, before: Path, generations: Path
    ) -> dict[str, float]:
        key = self._suite.prior
        assert key is not None
        different = {orjson.dumps(s.prompt): s for s in reversed(opened)}
        as_asked, raw = self._prompts(list(different.values()))
        after = self._log_prior(model_of(generations), as_asked, key)
        return {key: kl_bits(after, self._log_prior(before, raw, key))}

    def _annotations(
        self, opened: Sequence[Sample], asked: Asked, before: Path, generations: Path
    ) -> dict[str, Any]:
        model, manifest = model_of(generations), manifest_of(generations)
        assert manifest is not None
        if why := not_plain_samples(manifest.config):
            raise NotMeasured(why)
        groups = {"open": opened, **{name: [s for *_, s in of] for name, of in asked.items()}}
        written = {name: [s for s in of if s.annotation] for name, of in groups.items()}
        every = [s for of in written.values() for s in of]
        pairs = [(s.prompt_id, s.annotation or ()) for s in every]
        as_asked, raw = self._prompts(every)
        own = log_scores(model, as_asked, pairs, self._engine)
        other = log_scores(before, raw, pairs, self._engine)
        ends = np.cumsum([len(of) for of in written.values()])[:-1]
        sides = zip(np.split(own, ends), np.split(other, ends), strict=True)
        return {
            name: self._drift(*both, of)
            for (name, of), both in zip(written.items(), sides, strict=True)
        }

    def _drift(self, own: Floats, other: Floats, of: Sequence[Sample]) -> dict[str, Any] | None:
        if not of:
            return None
        ids = [s.prompt_id for s in of]
        return asdict(mean_log_ratio(own, other, ids, np.random.default_rng(self._suite.seed)))

    def _prompts(self, samples: Sequence[Sample]) -> tuple[dict[str, Any], dict[str, str]]:
        """By their ids: as they are, and as the model before is asked. Raw text is both."""
        as_asked = {s.prompt_id: s.prompt for s in samples}
        raw = {name: _raw(prompt, self._suite.before_prompt) for name, prompt in as_asked.items()}
        return as_asked, raw

    def _log_prior(self, model: Path, prompts: Mapping[str, Any], key: str) -> Floats:
        known = model, orjson.dumps(prompts)
        if known not in self._known:
            values = self._values[key]
            self._known[known] = log_prior(model, prompts, key, values, engine=self._engine)
        return self._known[known]


def _raw(prompt: Any, layout: str) -> str:
    if isinstance(prompt, str):
        return prompt
    request: str = prompt[-1]["content"]
    return layout.replace("{prompt}", request)
