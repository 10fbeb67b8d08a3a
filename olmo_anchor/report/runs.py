"""What training runs wrote about themselves: ``metrics.jsonl``, one line a step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.table import Table

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import MANIFEST
from olmo_anchor.report.load import names
from olmo_anchor.spans import ROLE_NAMES

__all__ = ["METRICS", "DriftRow", "Run", "drift_rows", "drift_table", "load_runs"]

METRICS = "metrics.jsonl"
_LOSS = "train/CE loss"
Series = list[tuple[int, float]]
"""Steps, rising, and the value at each."""


@dataclass(frozen=True)
class Run:
    """A training run, finished or still going on.

    :param name: of the folder, such as ``sft_anchored``; with those above it where two have one.
    :param series: of the loss and of everything about drift, by name.
    """

    name: str
    folder: Path
    series: dict[str, Series]

    @property
    def loss(self) -> Series:
        """Cross-entropy of what is trained, in nats."""
        return self.series.get(_LOSS, [])

    @property
    def steps(self) -> int:
        return max(step for series in self.series.values() for step, _ in series)

    @property
    def finished(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    def drift(self, role: str, value: str) -> Series:
        """:param value: ``CE loss``, ``entropy``, or ``... change`` since step 0; in nats."""
        return self.series.get(f"drift/{role}/{value}", [])


def load_runs(folders: list[Path]) -> list[Run]:
    """:raises InputError: when a folder is given twice, or its metrics cannot be read."""
    return [_load(folder, name) for folder, name in zip(folders, names(folders), strict=True)]


def _load(folder: Path, name: str) -> Run:
    path = folder / METRICS
    series: dict[str, Series] = {}
    # What follows the last newline is a line that a run is still writing.
    *lines, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            record = orjson.loads(line)
            step = record["step"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise InputError(f"{path}: line {number} is not the metrics of a step") from None
        for key, value in record.items():
            if key == _LOSS or key.startswith("drift/"):
                series.setdefault(key, []).append((step, value))
    if not series:
        raise InputError(f"{path}: holds no step yet; wait, or look at what the run printed")
    return Run(name, folder, series)


@dataclass(frozen=True)
class DriftRow:
    """How a role is predicted at the first and the last evaluation of a run; in nats."""

    run: str
    role: str
    steps: tuple[int, int]
    cross_entropy: tuple[float, float]
    entropy: tuple[float, float]

    @property
    def cells(self) -> tuple[str, ...]:
        """The numbers as text: of cross-entropy, then of entropy: first, last, change."""
        pairs = (self.cross_entropy, self.entropy)
        return tuple(
            text
            for first, last in pairs
            for text in (f"{first:.3f}", f"{last:.3f}", f"{last - first:+.3f}")
        )


def drift_rows(runs: list[Run]) -> list[DriftRow]:
    """One row per run and role, roles without tokens left out."""
    found = []
    for run in runs:
        for role in ROLE_NAMES:
            cross_entropy, entropy = run.drift(role, "CE loss"), run.drift(role, "entropy")
            if cross_entropy and entropy:
                found.append(
                    DriftRow(
                        run.name,
                        role,
                        (cross_entropy[0][0], cross_entropy[-1][0]),
                        (cross_entropy[0][1], cross_entropy[-1][1]),
                        (entropy[0][1], entropy[-1][1]),
                    )
                )
    return found


def drift_table(runs: list[Run]) -> Table:
    """The table for the terminal; of a run that measured no drift the loss alone."""
    table = Table(title="training runs, in nats", title_justify="left", box=None, pad_edge=False)
    table.add_column("run", overflow="fold")  # on a narrow terminal it gives way, not the numbers
    for name in ("role", "steps"):
        table.add_column(name, no_wrap=True)
    for name in ("CE\nfirst", "\nlast", "\nchange", "entropy\nfirst", "\nlast", "\nchange"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = drift_rows(runs)
    for run in runs:
        if run.loss:
            (first, before), (last, after) = run.loss[0], run.loss[-1]
            table.add_row(run.name, "trained", f"{first}-{last}", f"{before:.3f}", f"{after:.3f}")
        for row in rows:
            if row.run == run.name:
                table.add_row("", row.role, "{}-{}".format(*row.steps), *row.cells)
    return table
