"""``olmo-anchor annotations normalise``: an ANNOTATIONS_DIR with one spelling for each value.

The records stand in the same files and in the same order; only their tags differ. What was done is
in the manifest: rules, the hash of the synonyms, and of the folder that it was done to.
"""

from __future__ import annotations

import gzip
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import zstandard

from olmo_anchor.annotation import Annotation, Tag
from olmo_anchor.manifest import (
    MANIFEST,
    FileRecord,
    Manifest,
    atomic_write,
    check_output,
    file_record,
    prepare_output,
)
from olmo_anchor.quality.printable import printable
from olmo_anchor.quality.read import AnnotationsDir, Entry
from olmo_anchor.quality.rules import PROPER_NAMES, Rules, load_synonyms

__all__ = ["NormaliseConfig", "Outcome", "summary"]

_COPIED = ("chunks", "annotations", "unannotated", "rejected")
_EXAMPLES = 20
_SUFFIX = ", normalised"


@dataclass
class Outcome:
    """What became of the tags.

    :param changes: how often a value of a key became another.
    :param dropped: tags that their annotation had already, as far as now told.
    :param kept: values that the schema would refuse otherwise, with the reason; they stay as they
        were.
    """

    annotations: int = 0
    tags: int = 0
    changed_annotations: int = 0
    dropped: int = 0
    changes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def counts(self) -> dict[str, int]:
        return {
            "tags": self.tags,
            "changed_values": self.changes.total(),
            "dropped_tags": self.dropped,
            "kept_values": self.kept.total(),
            "changed_annotations": self.changed_annotations,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NormaliseConfig:
    """Write annotations again, with values as :class:`Rules` have them.

    :param keep_case: keys whose values keep their case.
    :param synonyms: a YAML file, see :func:`load_synonyms`.
    """

    annotations: Path
    out: Path | None = None
    case: Literal["lower", "keep"] = "lower"
    keep_case: Sequence[str] = PROPER_NAMES
    unicode: Literal["NFKC", "NFC", "keep"] = "NFKC"
    synonyms: Path | None = None
    overwrite: bool = False

    def look(self) -> Outcome:
        """What would be done; nothing is written.

        :raises InputError: when the folder or the synonyms are not what they should be.
        """
        annotations = AnnotationsDir.open(self.annotations)
        work = _Work(annotations, self._rules(annotations))
        for entry in annotations.records():
            work.record(entry)
        return work.outcome

    def run(self) -> Outcome:
        """Write the new folder; one that is not finished has no manifest.

        :raises InputError: as :meth:`look`, and when ``out`` exists.
        """
        assert self.out is not None
        began = time.monotonic()
        annotations = AnnotationsDir.open(self.annotations)
        work = _Work(annotations, self._rules(annotations))
        inputs = [self.annotations, *([self.synonyms] if self.synonyms else [])]
        check_output(self.out, overwrite=self.overwrite, inputs=inputs)
        if self.out.is_dir() and any(self.out.iterdir()):
            # A fault of the input is found before what would be replaced is gone.
            self.look()
        prepare_output(self.out, overwrite=self.overwrite, inputs=inputs)
        outputs = [self._file(annotations, path, work) for path in annotations.files]
        annotations.check_count(work.outcome.annotations)
        self._manifest(annotations, work.outcome, outputs, time.monotonic() - began)
        return work.outcome

    def tokens_folder(self) -> Path | None:
        """The TOKENS_DIR that the annotations belong to, as their manifest names it."""
        return AnnotationsDir.open(self.annotations).tokens_folder

    def _rules(self, annotations: AnnotationsDir) -> Rules:
        known = load_synonyms(self.synonyms, annotations.schema) if self.synonyms else {}
        return Rules(self.case, tuple(self.keep_case), self.unicode, known)

    def _file(self, annotations: AnnotationsDir, path: Path, work: _Work) -> FileRecord:
        assert self.out is not None
        out = self.out / path.relative_to(self.annotations)
        with _writer(out) as write:
            for entry in annotations.file_records(path):
                write(orjson.dumps(work.record(entry), option=orjson.OPT_APPEND_NEWLINE))
        return file_record(out, self.out)

    def _manifest(
        self,
        annotations: AnnotationsDir,
        outcome: Outcome,
        outputs: list[FileRecord],
        seconds: float,
    ) -> None:
        assert self.out is not None
        source, out = annotations.manifest, self.out
        rejected = self.annotations / "rejected.jsonl"
        if rejected.exists():
            shutil.copyfile(rejected, out / rejected.name)
            outputs.append(file_record(out / rejected.name, out))
        synonyms = file_record(self.synonyms) if self.synonyms else None
        rules = {
            "case": self.case,
            "keep_case": list(self.keep_case) if self.case == "lower" else [],
            "unicode": self.unicode,
            "synonyms": synonyms,
        }
        folder = {"path": str(self.annotations.resolve() / MANIFEST), "sha256": source.hash}
        annotator = source.extra.get("annotator", "annotations").removesuffix(_SUFFIX) + _SUFFIX
        Manifest(
            kind="annotations",
            inputs=[
                folder,
                *(one for one in source.inputs if one.get("sha256") == annotations.tokens_hash),
                *([synonyms] if synonyms else []),
            ],
            config={"annotations": str(self.annotations), "out": str(out), **rules},
            counts={
                **{name: source.counts[name] for name in _COPIED if name in source.counts},
                **outcome.counts,
            },
            outputs=outputs,
            extra={
                **source.extra,
                "annotator": annotator,
                # Nothing that `annotate --resume` would take for its own.
                "key": {**source.extra.get("key", {}), "annotator": annotator},
                "kept_reasons": _reasons(outcome),
            },
            seconds=round(seconds, 3),
        ).write(out)


class _Work:
    """Record after record, with what was done counted."""

    def __init__(self, annotations: AnnotationsDir, rules: Rules) -> None:
        self.schema = annotations.schema
        self.rules = rules
        self.outcome = Outcome()

    def record(self, entry: Entry) -> dict[str, Any]:
        assert entry.annotation is not None
        made = self._annotation(entry.annotation)
        return {**entry.raw, "tags": made.pairs()}

    def _annotation(self, annotation: Annotation) -> Annotation:
        outcome = self.outcome
        tags = dict.fromkeys(map(self._tag, annotation.tags))
        made = Annotation(tuple(tags))
        outcome.annotations += 1
        outcome.tags += len(annotation.tags)
        outcome.dropped += len(annotation.tags) - len(made.tags)
        outcome.changed_annotations += made != annotation
        return made

    def _tag(self, tag: Tag) -> Tag:
        value = self.rules.value(tag.key, tag.value)
        if value == tag.value:
            return tag
        try:
            made = Tag(tag.key, value)
            reason = self.schema.refuse_tag(made)
        except ValueError as error:
            reason = str(error)
        if reason is not None:
            self.outcome.kept[tag.key, reason] += 1
            return tag
        self.outcome.changes[tag.key, tag.value, value] += 1
        return made


def _reasons(outcome: Outcome) -> dict[str, int]:
    reasons: Counter[str] = Counter()
    for (_, reason), times in outcome.kept.items():
        reasons[reason] += times
    return dict(reasons)


@contextmanager
def _writer(path: Path) -> Iterator[Callable[[bytes], Any]]:
    """Writes to a file that is compressed as its name tells, and appears whole or not at all."""
    with atomic_write(path) as file:
        if path.suffix == ".zst":
            with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as compressed:
                yield compressed.write
        elif path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as compressed:
                yield compressed.write
        else:
            yield file.write


def summary(outcome: Outcome) -> str:
    """What a person wants to know: the counts, and what changed most often."""
    lines = [
        f"{outcome.changes.total():,} of {outcome.tags:,} values changed, in "
        f"{outcome.changed_annotations:,} of {outcome.annotations:,} annotations; "
        f"{outcome.dropped:,} tags dropped that their annotation had already"
    ]
    for (key, reason), times in outcome.kept.most_common(3):
        lines.append(f"{times:,} values of {key} stay as they were: {reason}")
    most = outcome.changes.most_common(_EXAMPLES)
    lines += [f"  {times:,} \u00d7 {key}: {old} \u2192 {new}" for (key, old, new), times in most]
    if len(outcome.changes) > len(most):
        lines.append(f"  and {len(outcome.changes) - len(most):,} more kinds of change")
    return printable("\n".join(lines))
