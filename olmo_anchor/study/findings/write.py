"""``olmo-anchor study page``: what the study found, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from olmo_anchor.manifest import atomic_write, write_json
from olmo_anchor.study.findings.collect import collect
from olmo_anchor.study.findings.tidy import csv_text, terminal

__all__ = ["FindingsConfig"]


@dataclass(frozen=True)
class FindingsConfig:
    """:param out: the folder of the study, with ``seed-N`` in it."""

    out: Path

    def run(self) -> None:
        """Write ``OUT/study.json`` and ``OUT/study.csv`` in the place of earlier ones, and print
        the tables.

        :raises InputError: as :func:`~olmo_anchor.study.findings.collect.collect`.
        """
        findings = collect(self.out)
        write_json(self.out / "study.json", findings.to_json())
        with atomic_write(self.out / "study.csv") as file:
            file.write(csv_text(findings).encode())
        Console().print(terminal(findings))
