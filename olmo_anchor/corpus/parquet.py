"""Parquet files with the columns ``id`` and ``text``, or ``messages``; read with pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from olmo_anchor.corpus.documents import Record
from olmo_anchor.corpus.input_file import InputFile
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import FileRecord, file_record

__all__ = ["FIELDS", "ParquetFile"]

FIELDS = ("id", "text", "messages")
"""All that is read of a row, unless told otherwise."""

_ROWS = 256


@dataclass(frozen=True)
class ParquetFile(InputFile):
    """:param fields: the columns that are read, where they are there."""

    fields: tuple[str, ...] = FIELDS

    def check(self) -> tuple[FileRecord, int]:
        with self._opened() as file:
            rows = int(file.metadata.num_rows)
        return file_record(self.path), rows

    def batches(self) -> Iterator[list[Record]]:
        """:raises InputError: when the file cannot be read."""
        row = 1
        with self._opened() as file:
            # Of two columns with one name there is no telling which is meant: pyarrow reads both.
            found = [name for name in file.schema_arrow.names if name in self.fields]
            if not found:
                names = ", ".join(file.schema_arrow.names) or "none"
                wanted = " or ".join(f"`{name}`" for name in self.fields[1:])
                raise InputError(
                    f"{self.path}: has no column {wanted}; the columns are {names}"[:400]
                )
            for table in file.iter_batches(_ROWS, columns=found, use_threads=False):
                columns = [_values(table.column(name)) for name in found]
                yield [
                    Record(self.index, at, dict(zip(found, values, strict=True)))
                    for at, values in enumerate(zip(*columns, strict=True), row)
                ]
                row += table.num_rows

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise InputError(
                f"{self.path}: Parquet is read with pyarrow: pip install 'olmo-anchor[data]'"
            ) from None
        try:
            with pyarrow.parquet.ParquetFile(self.path, pre_buffer=False) as file:
                yield file
        except (OSError, pyarrow.ArrowException) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{self.path}: cannot be read: {reason}") from None


def _values(column: Any) -> list[Any]:
    import pyarrow

    # As bytes: not every writer checks that its strings are UTF-8, and one that is not must not
    # cost the others.
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        column = column.cast(pyarrow.large_binary())
    values: list[Any] = column.to_pylist()
    return values
