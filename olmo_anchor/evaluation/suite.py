"""A suite: what is judged, by whom, and which models are compared. Read from ``evals/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.embedders import DEFAULT_EMBEDDER

__all__ = [
    "ArmSuite",
    "Gap",
    "Prior",
    "Suite",
    "TextSuite",
    "build",
    "build_suite",
    "read_suite",
    "read_yaml",
]


@dataclass(frozen=True)
class Gap:
    """Names of the models in (H_anchored - H_sft) / (H_base - H_sft)."""

    base: str
    sft: str
    anchored: str
    base_variant: str | None = None
    """Another base, for the same share beside it."""


@dataclass(frozen=True)
class Prior:
    """Whose distribution of the first annotated value is compared: KL(after || before)."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class Suite:
    """:param open_kind: ``kind`` of the prompts that name nothing; entropy is measured on them.
    :param named_kinds: kinds of the prompts that name the value of ``entropy_of``.
    :param other_kinds: kinds of the prompts that are passed over.
    """

    name: str
    judge: str
    entropy_of: str
    open_kind: str
    named_kinds: tuple[str, ...] = ()
    other_kinds: tuple[str, ...] = ()
    gap: Gap | None = None
    prior: Prior | None = None
    seed: int = 0
    note: str | None = None
    """What a reader of the numbers must know; shown on the report's page."""


@dataclass(frozen=True)
class ArmSuite:
    """Answers with labels, each arm by itself: what is compared is left to who reads the summaries.

    :param entropy_of: the labels whose entropy is measured.
    :param requests: the labels that prompts may name, in a field of that name.
    :param taught: the label of which the SFT data teach some values, and others not.
    :param prior: the key that annotations begin with, whose prior is compared.
    :param before_prompt: how the model that post-training started from is asked, which goes on with
        raw text; ``{prompt}`` stands for the request.
    :param open_kind: as in :class:`Suite`.
    """

    name: str
    judge: str
    entropy_of: tuple[str, ...]
    requests: tuple[str, ...] = ()
    taught: str | None = None
    prior: str | None = None
    before_prompt: str = "{prompt}\n\n"
    open_kind: str = "open"
    seed: int = 0
    note: str | None = None

    def labels(self) -> tuple[str, ...]:
        """All that the judge must know of, each once."""
        named = (self.taught, self.prior)
        every = (*self.entropy_of, *self.requests, *(one for one in named if one is not None))
        return tuple(dict.fromkeys(every))


@dataclass(frozen=True)
class TextSuite:
    """Answers without labels: several samples per prompt, compared with one another.

    :param embedder: see :func:`olmo_anchor.evaluation.embedders.embed`.
    :param seed: of the bootstrap over prompts.
    """

    name: str
    embedder: str = DEFAULT_EMBEDDER
    seed: int = 0
    note: str | None = None


def read_suite(path: Path) -> Suite | ArmSuite | TextSuite:
    """Read a suite; its field ``kind`` is ``labels`` (:class:`Suite`, the default), ``arms`` or
    ``text``.

    :raises InputError: when the file is missing, not YAML, or has a field too many or too few.
    """
    return build_suite(read_yaml(path), path)


def build_suite(stored: dict[str, Any], path: Path) -> Suite | ArmSuite | TextSuite:
    """
    :param stored: the fields of the file ``path``.
    :raises InputError: as :func:`read_suite`.
    """
    kind = stored.pop("kind", "labels")
    if kind == "text":
        text_suite: TextSuite = build(TextSuite, stored, str(path))
        return text_suite
    if kind == "arms":
        for name in ("entropy_of", "requests"):
            if name in stored:
                stored[name] = _names(stored[name], f"{path}: {name}")
        arm_suite: ArmSuite = build(ArmSuite, stored, str(path))
        return arm_suite
    if kind != "labels":
        raise InputError(f"{path}: kind is {kind!r}; it is 'labels', 'arms' or 'text'")
    for name, part in (("gap", Gap), ("prior", Prior)):
        if stored.get(name) is not None:
            stored[name] = build(part, stored[name], f"{path}: {name}")
    for name in ("named_kinds", "other_kinds"):
        stored[name] = tuple(stored.get(name) or ())
    suite: Suite = build(Suite, stored, str(path))
    return suite


def _names(stored: Any, where: str) -> tuple[str, ...]:
    if not isinstance(stored, list) or not all(isinstance(name, str) for name in stored):
        raise InputError(f"{where}: not a list of labels")
    return tuple(stored)


def read_yaml(path: Path) -> dict[str, Any]:
    """The fields of a suite's file.

    :raises InputError: when it is missing, not YAML, or not a mapping.
    """
    import yaml

    try:
        stored = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such suite; the package's are in evals/") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(stored, dict):
        raise InputError(f"{path}: not a mapping of fields")
    return dict(stored)


def build(kind: type[Any], stored: Any, where: str) -> Any:
    """A dataclass from the mapping that a file has for it.

    :raises InputError: for a field too many or too few.
    """
    known = [one.name for one in fields(kind)]
    if not isinstance(stored, dict):
        raise InputError(f"{where}: not a mapping of fields")
    unknown = [str(name) for name in stored if name not in known]
    if unknown:
        raise InputError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(known)}")
    try:
        return kind(**stored)
    except TypeError as error:
        raise InputError(f"{where}: {str(error).partition(' ')[2]}") from None
