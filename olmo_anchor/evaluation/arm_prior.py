"""How far post-training moved an arm's prior, from the model that it started from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from olmo_anchor.evaluation.generations import NotMeasured, model_of
from olmo_anchor.evaluation.prior import kl_bits, log_prior
from olmo_anchor.evaluation.samples import Sample
from olmo_anchor.evaluation.suite import ArmSuite

__all__ = ["Priors"]


class Priors:
    """Prior drift of several arms; a model is scored once for the same prompts.

    :param key: that annotations begin with.
    :param values: all that it can have.
    """

    def __init__(self, key: str, values: Sequence[str], engine: str) -> None:
        self._key, self._values, self._engine = key, values, engine
        self._known: dict[tuple[Path, bytes], NDArray[np.float64]] = {}

    def of_arm(
        self, samples: Sequence[Sample], suite: ArmSuite, before: Path, generations: Path
    ) -> float:
        """KL(arm || before) of the first annotated value, mean over the open prompts, in bits.

        The model before is asked in ``suite.before_prompt``; a prompt that is raw text is asked as
        it is.

        :param before: a model folder.
        :param generations: the answers of the arm, whose manifest names its model.
        :raises NotMeasured: when there is no open prompt, annotation or model.
        :raises InputError: when a folder holds no model, or a prompt is too long for it.
        """
        opened = [s for s in samples if s.kind == suite.open_kind]
        if not opened:
            raise NotMeasured(f"no prompt is of kind {suite.open_kind}")
        if not any(s.annotation for s in opened):
            raise NotMeasured("no answer has an annotation")
        model = model_of(generations)
        asked = {orjson.dumps(s.prompt): (s.prompt_id, s.prompt) for s in reversed(opened)}
        after = dict(asked.values())
        raw = {name: _raw(prompt, suite.before_prompt) for name, prompt in after.items()}
        return kl_bits(self._log_prior(model, after), self._log_prior(before, raw))

    def _log_prior(self, model: Path, prompts: Mapping[str, Any]) -> NDArray[np.float64]:
        known = model, orjson.dumps(prompts)
        if known not in self._known:
            self._known[known] = log_prior(
                model, prompts, self._key, self._values, engine=self._engine
            )
        return self._known[known]


def _raw(prompt: Any, layout: str) -> str:
    if isinstance(prompt, str):
        return prompt
    request: str = prompt[-1]["content"]
    return layout.replace("{prompt}", request)
