"""Annotation records laid over token files: an OVERLAY_DIR.

The token files are not rewritten. For each of them, ``part-XXXX`` with the token file's number, all
little-endian and without a header::

    part-XXXX.ids.npy        uint32: the token ids of all annotations, one after the other, each
                             with its opening and closing delimiter
    part-XXXX.starts.npy     int64, n + 1, strictly rising: for each of the n annotated chunks the
                             position in the token file before which its annotation stands; then
                             the token file's length
    part-XXXX.positions.npy  int64, n + 1: where that annotation begins in the interleaved stream;
                             then the stream's length. positions[k] - starts[k] is where
                             annotation k begins in ids
    part-XXXX.docs.npy       int64, documents + 1: the start of each document in the token file,
                             then the end of the last
    rejected.jsonl           annotation records that could not be used, with the reason, if any
    manifest.json            kind "overlay"; ``extra`` holds the hash of the tokens' manifest, the
                             tokenizer's hash, the control ids, the schema, the chunk rule, and for
                             each part its files and the token file that it belongs to

An annotation at the first token of a document belongs to that document. In a conversation it stands
before the first token of a run of trained tokens: with ``train_turns=final`` of the last one only
(paper, B.3). It inherits the corpus label of the token that it precedes.

What a token file must hold to for this to work is in :mod:`olmo_anchor.corpus.overlay_scan`, what a
record must in :mod:`olmo_anchor.corpus.overlay_records`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from olmo_anchor.annotation import PAPER_SCHEMA
from olmo_anchor.corpus.chunks import ChunkRule
from olmo_anchor.corpus.overlay_part import FILES, OverlayPartWriter
from olmo_anchor.corpus.overlay_records import AnnotationEncoder, RecordReader, record_files
from olmo_anchor.corpus.overlay_scan import scan_part
from olmo_anchor.corpus.part_journal import PartJournal
from olmo_anchor.corpus.schema_file import load_schema, schema_of, schema_record
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.journal import Rejects, check_rejected, rejected_line
from olmo_anchor.manifest import (
    MANIFEST,
    Manifest,
    file_record,
    prepare_output,
    read_manifest,
)
from olmo_anchor.progress import Advance, progress
from olmo_anchor.terminal import console

__all__ = ["MAX_ANNOTATION_TOKENS", "OverlayConfig", "summary"]

MAX_ANNOTATION_TOKENS = 256
"""The longest annotation by default, delimiters included; it must be shorter than an instance."""

_RESUME = ("read", "count", "rejected_bytes")
"""What of a part's entry only a resumed run needs."""


def summary(manifest: Manifest, out: Path) -> str:
    """What a person wants to know when it is done."""
    counts, shares = manifest.counts, manifest.extra["shares"]
    reasons = manifest.extra["rejected_reasons"]
    lacking = counts.get("unannotated", 0)
    left_out = f"{lacking:,} conversations without one, which no arm trains\n" if lacking else ""
    return (
        f"{out}: {counts['annotations']:,} annotations on {shares['chunks_annotated']:.1%} of "
        f"{counts['chunks']:,} chunks, {shares['annotation_tokens']:.1%} of all tokens, encoded "
        f"with {manifest.extra.get('encoder', 'tokenizers')}\n"
        f"{left_out}"
        f"{rejected_line(reasons, counts['records'], out / 'rejected.jsonl')}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayConfig:
    """Make an OVERLAY_DIR from a TOKENS_DIR and an ANNOTATIONS_DIR.

    :param schema: a YAML or JSON file; without one the annotations' own schema holds, or the
        paper's.
    :param max_rejected: the share of records above which the work fails; without one,
        :func:`~olmo_anchor.journal.default_share`.
    """

    tokens: Path
    annotations: Path
    out: Path
    schema: Path | None = None
    max_annotation_tokens: int = MAX_ANNOTATION_TOKENS
    max_rejected: float | None = None
    overwrite: bool = False
    resume: bool = False

    def run(self) -> Manifest:
        """Read, check, write; memory does not grow with the corpus.

        :raises InputError: when the inputs do not fit each other, a token file cannot carry an
            overlay, or ``out`` exists.
        :raises WorkFailed: when more than ``max_rejected`` of the records were rejected.
        """
        return _Run(self).run()


class _Run:
    def __init__(self, config: OverlayConfig) -> None:
        self.config = config
        self.began = time.monotonic()
        self.tokens = TokensDir.open(config.tokens)
        self.tokens.check_not_interleaved()
        self.tokens.check_contents()
        self.annotations = read_manifest(config.annotations, "annotations")
        self.records = record_files(config.annotations, self.annotations)
        self.tokenizer = self.tokens.tokenizer()
        self.tokenizer.speed_up(sum(path.stat().st_size for path in self.records))
        extra = self.annotations.extra
        made_for = extra.get("tokens_manifest", self.tokens.manifest.hash)
        if made_for != self.tokens.manifest.hash:
            raise InputError(
                f"{config.annotations}: was made for other tokens than {config.tokens}; annotate "
                "them with: olmo-anchor annotate"
            )
        if config.schema is not None:
            self.schema = load_schema(config.schema)
        elif "schema" in extra:
            self.schema = schema_of(extra["schema"], f"{config.annotations}/{MANIFEST}")
        else:
            self.schema = PAPER_SCHEMA
        self.rule = ChunkRule.of(self.tokens, self.tokenizer, int(extra.get("min_chunk_tokens", 0)))
        self.encoder = AnnotationEncoder(self.tokenizer, config.max_annotation_tokens)
        self.key = {
            "tokens_manifest": self.tokens.manifest.hash,
            "annotations_manifest": self.annotations.hash,
            "schema": schema_record(self.schema),
            "max_annotation_tokens": config.max_annotation_tokens,
        }

    def run(self) -> Manifest:
        config, out = self.config, self.config.out
        if config.resume and (out / MANIFEST).exists():
            manifest = read_manifest(out, "overlay")
            PartJournal.check(out, manifest.extra["key"], self.key)
            console.print(f"{out}: finished already")
            return manifest
        fresh = not out.is_dir() or not any(out.iterdir())
        if config.overwrite and not fresh:
            self._scan_only()
        prepare_output(
            out,
            overwrite=config.overwrite,
            resume=config.resume,
            inputs=(config.tokens, config.annotations),
        )
        journal = PartJournal(out, self.key, FILES)
        try:
            with progress("laying annotations over tokens", self.tokens.tokens) as advance:
                self._parts(journal, advance)
        except InputError:
            # A wrong input leaves what was there: nothing.
            if fresh:
                shutil.rmtree(out, ignore_errors=True)
            raise
        finally:
            journal.close()
        manifest = self._manifest(journal.parts)
        journal.remove()
        return manifest

    def _scan_only(self) -> None:
        """Find what is wrong with the token files before what would be replaced is gone."""
        with (
            progress("checking tokens", self.tokens.tokens) as advance,
            Path(os.devnull).open("wb") as nowhere,
        ):
            for part in self.tokens.parts:
                scan_part(part, self.tokenizer.control, self.tokens.vocab_size, nowhere, advance)

    def _parts(self, journal: PartJournal, advance: Advance) -> None:
        done = journal.parts
        last: dict[str, Any] = (
            done[-1] if done else {"read": [0, 0], "count": 0, "rejected_bytes": 0}
        )
        path = self.config.out / "rejected.jsonl"
        if path.exists():
            # What was rejected after the last finished part is read again.
            os.truncate(path, last["rejected_bytes"])
            if not last["rejected_bytes"]:
                path.unlink()
        rejects = Rejects(path)
        try:
            reader = RecordReader(
                self.records,
                self.schema,
                [part.documents for part in self.tokens.parts],
                rejects,
                start=tuple(last["read"]),
                count=last["count"],
                part=len(done),
            )
            advance(sum(part["tokens"] for part in done))
            for part in self.tokens.parts[len(done) :]:
                writer = OverlayPartWriter(
                    self.config.out,
                    part,
                    self.rule,
                    self.encoder,
                    self.tokens.vocab_size,
                    reader,
                    rejects,
                )
                entry = writer.write(advance)
                entry["read"], entry["count"] = reader.consumed, reader.count
                entry["rejected_bytes"] = path.stat().st_size if path.exists() else 0
                journal.append(entry)
            self.reasons = rejects.reasons
            self.count = reader.count
            check_rejected(rejects, reader.count, self.config.max_rejected)
        finally:
            rejects.close()

    def _manifest(self, parts: list[dict[str, Any]]) -> Manifest:
        out, tokens = self.config.out, self.tokens
        parts = [{k: v for k, v in part.items() if k not in _RESUME} for part in parts]
        total: Counter[str] = Counter()
        for part in parts:
            total.update({k: v for k, v in part.items() if isinstance(v, int)})
        rejected = out / "rejected.jsonl"
        manifest = Manifest(
            kind="overlay",
            inputs=[
                {"path": str(tokens.folder.resolve() / MANIFEST), "sha256": tokens.manifest.hash},
                {
                    "path": str(self.config.annotations.resolve() / MANIFEST),
                    "sha256": self.annotations.hash,
                },
            ],
            config={
                k: str(v) if isinstance(v, Path) else v for k, v in asdict(self.config).items()
            },
            counts={
                **total,
                "longest_annotation": max(
                    (part["longest_annotation"] for part in parts), default=0
                ),
                "parts": len(parts),
                "records": self.count,
                "rejected": self.reasons.total(),
            },
            outputs=[part[name] for part in parts for name in FILES]
            + ([file_record(rejected, out)] if rejected.exists() else []),
            extra={
                "key": self.key,
                "tokens": {"manifest_sha256": tokens.manifest.hash},
                "tokenizer_hash": tokens.tokenizer_hash,
                "encoder": self.tokenizer.text_encoder_name,
                "control": asdict(self.tokenizer.control),
                "schema": schema_record(self.schema),
                "min_chunk_tokens": self.rule.min_tokens,
                "chat": tokens.chat,
                "train_turns": tokens.train_turns,
                "every_run_annotated": total["chunks"] == total["annotations"]
                and not total["runs_left_out"],
                "shares": {
                    "chunks_annotated": total["annotations"] / max(1, total["chunks"]),
                    "annotation_tokens": total["annotation_tokens"]
                    / max(1, total["annotation_tokens"] + total["tokens"]),
                },
                "rejected_reasons": dict(self.reasons),
                "parts": parts,
            },
            seconds=round(time.monotonic() - self.began, 3),
        )
        manifest.write(out)
        return manifest
