"""Data sets of the Hugging Face hub, streamed: ``hf://datasets/NAME[/CONFIG]:SPLIT``."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from olmo_anchor.corpus.documents import Record
from olmo_anchor.corpus.parquet import FIELDS
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import FileRecord

__all__ = ["PREFIX", "HubSplit"]

PREFIX = "hf://"

_FORM = re.compile(r"hf://datasets/([^/:]+/[^/:]+|[^/:]+)(?:/([^/:]+))?:([^/:]+)")
_ROWS = 256


@dataclass(frozen=True)
class HubSplit:
    """One split of a data set; see :class:`~olmo_anchor.corpus.sources.Source`.

    NAME is ``owner/name``, or a name alone where the data set has no owner and no CONFIG is given.

    :param fields: all that is read of a row.
    """

    spec: str
    index: int = 0
    fields: tuple[str, ...] = FIELDS

    def __post_init__(self) -> None:
        if not _FORM.fullmatch(self.spec):
            raise InputError(
                f"{self.spec}: not of the form hf://datasets/NAME[/CONFIG]:SPLIT, such as "
                "hf://datasets/allenai/tulu-3-sft-mixture:train"
            )

    @property
    def label(self) -> str:
        return self.spec

    @property
    def name(self) -> str:
        return self.spec.removeprefix("hf://datasets/")

    @property
    def size(self) -> None:
        return None

    @cached_property
    def _builder(self) -> Any:
        try:
            import datasets
        except ImportError:
            raise InputError(
                f"{self.spec}: data sets of the hub are read with datasets: "
                "pip install 'olmo-anchor[data]'"
            ) from None
        name, config, split = self._parts
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # each try again is a warning
        try:
            builder = datasets.load_dataset_builder(name, config)
        except Exception as error:  # what went wrong comes as any of a dozen types
            raise self._unreadable(error) from None
        splits = list(builder.info.splits or {})
        if splits and split not in splits:
            raise InputError(f"{self.spec}: has no split {split!r}, only {', '.join(splits)}")
        return builder

    @property
    def _parts(self) -> tuple[str, str | None, str]:
        found = _FORM.fullmatch(self.spec)
        assert found is not None
        name, config, split = found.groups()
        return name, config, split

    def check(self) -> tuple[FileRecord, int | None]:
        """The revision stands for the hash; how many rows there are is not always known."""
        builder = self._builder
        stated = (builder.info.splits or {}).get(self._parts[2])
        # Without a card a data set does not state its splits; the hash covers files and revision.
        record = {"path": self.spec, "size": None, "sha256": builder.hash}
        return record, (stated.num_examples or None) if stated else None

    def batches(self) -> Iterator[list[Record]]:
        """:raises InputError: when the hub does not give the rows."""
        batch: list[Record] = []
        try:
            rows = self._builder.as_streaming_dataset(self._parts[2])
            for row, fields in enumerate(rows, 1):
                kept = {name: value for name, value in fields.items() if name in self.fields}
                batch.append(Record(self.index, row, kept))
                if len(batch) == _ROWS:
                    yield batch
                    batch = []
        except InputError:
            raise
        except Exception as error:
            raise self._unreadable(error) from None
        if batch:
            yield batch

    def _unreadable(self, error: Exception) -> InputError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return InputError(f"{self.spec}: cannot be read: {reason}"[:500])
