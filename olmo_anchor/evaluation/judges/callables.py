"""Judges that are code: any callable that is named as ``package.module:attribute``.

``package.module:function(ARGUMENT)`` is what the function makes of the text between the brackets,
such as the path of a file that says what there is to tell apart. So evaluation knows no judge: the
story world's exact classifier, and whatever a user writes, are found the same way.
"""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from olmo_anchor.errors import InputError
from olmo_anchor.evaluation.judges.base import Failed, Item, Outcome, Verdict
from olmo_anchor.manifest import sha256_file

__all__ = ["CallableJudge", "ResponseJudge", "load_callable"]


class ResponseJudge(Protocol):
    """The callable: one response in, its verdict out.

    :ivar values: all labels that an attribute can have; empty where they cannot be listed.
    """

    name: str
    values: Mapping[str, Sequence[str]]

    def __call__(self, response: str) -> Verdict: ...


def load_callable(path: str) -> ResponseJudge:
    """Import ``package.module:attribute``, or call it: ``package.module:function(ARGUMENT)``.

    :raises InputError: when there is no such thing.
    """
    module, _, attribute = path.partition(":")
    attribute, bracket, argument = attribute.partition("(")
    try:
        found = getattr(importlib.import_module(module), attribute)
        return cast(ResponseJudge, found(argument.removesuffix(")")) if bracket else found)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"the judge {path!r} cannot be imported: {error}; write package.module:attribute, and "
            "for a module of your own let PYTHONPATH name its folder"
        ) from None


class CallableJudge:
    """A :class:`ResponseJudge` as a :class:`~olmo_anchor.evaluation.judges.base.Judge`.

    :param path: where it was found; its identity is this, the hash of the module's file, and that
        of the file that is its argument.
    """

    scores: Sequence[str] = ()

    def __init__(self, path: str, call: ResponseJudge) -> None:
        self.path = path
        self.call = call
        self.name = call.name
        self.values = call.values
        self._counts = Counter({"judged": 0, "failed": 0})

    @property
    def counts(self) -> Mapping[str, int]:
        return self._counts

    def identity(self) -> dict[str, Any]:
        module = importlib.import_module(self.path.partition(":")[0])
        source = inspect.getsourcefile(module)
        found = None if source is None else sha256_file(Path(source))
        argument = Path(self.path.partition("(")[2].removesuffix(")"))
        of_file = {"argument_sha256": sha256_file(argument)} if argument.is_file() else {}
        return {"judge": self.path, "sha256": found, **of_file}

    def judge(self, items: Iterable[Item]) -> Iterator[tuple[str, Outcome]]:
        for item in items:
            outcome = self._outcome(item.response)
            self._counts["failed" if isinstance(outcome, Failed) else "judged"] += 1
            yield item.key, outcome

    def _outcome(self, response: str) -> Outcome:
        try:
            verdict = self.call(response)
            missing = [name for name in self.values if name not in verdict.labels]
        except Exception as error:  # it may be anybody's code
            return Failed(f"{type(error).__name__}: {' '.join(str(error).split())}")
        return Failed(f"its verdict has no {missing[0]!r}, not even None") if missing else verdict
