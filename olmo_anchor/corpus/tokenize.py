"""Documents or conversations to the files that OLMo-core trains on (``olmo-anchor tokenize``).

A TOKENS_DIR holds::

    token_ids_part_XXXX.npy, token_ids_part_XXXX.csv.gz, labels_mask_part_XXXX.npy (conversations)
    rejected.jsonl   records that could not be used: file, line, id, reason
    tokenizer/       the tokenizer that made the ids
    manifest.json    written last

A document's ids are those of ``tokenizers`` without added tokens, as ``dolma tokens`` has them, and
one end-of-text. Everything but the manifest's times is a function of inputs and configuration.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from olmo_anchor.chat import TrainTurns
from olmo_anchor.corpus.documents import Record, check_input, read_records, stem
from olmo_anchor.corpus.dry_run import survey
from olmo_anchor.corpus.encode import Encoded, Encoder, Rejected, encode_records
from olmo_anchor.corpus.part_journal import PartJournal
from olmo_anchor.corpus.parts import PartWriter, smallest_uint
from olmo_anchor.corpus.resume import PART_FILES, State, refuse_duplicate, resume, seen_ids
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.journal import Rejects, check_rejected, rejected_line
from olmo_anchor.manifest import (
    MANIFEST,
    FileRecord,
    Manifest,
    file_record,
    prepare_output,
    read_manifest,
)
from olmo_anchor.progress import progress
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["TokenizeConfig", "summary"]

_PART_BYTES = 1 << 30
_REJECTED = "rejected.jsonl"


@dataclass
class TokenizeConfig:
    """What ``olmo-anchor tokenize`` does.

    :param inputs: JSONL files, also ``.gz`` and ``.zst``.
    :param tokenizer: a ``tokenizer.json``, a folder that holds one, or a hub id.
    :param chat: the records are conversations.
    :param layout: of the conversations, ``olmo`` or ``plain``; default the tokenizer's, ``olmo``.
    :param train_turns: which assistant turns are targets.
    :param max_length: of a conversation in tokens; annotations, which come later, do not count.
    :param part_tokens: a part holds at most so many tokens, or one longer document; by default as
        many as fill 1 GiB.
    :param workers: processes that encode.
    :param limit: use only the first records, after shuffling.
    :param shuffle_seed: shuffle the records; they are held in memory then.
    :param max_rejected: fail when a larger share of the records is rejected; without one,
        :func:`~olmo_anchor.journal.default_share`.
    """

    inputs: tuple[Path, ...]
    tokenizer: str
    out: Path
    chat: bool = False
    layout: str | None = None
    train_turns: TrainTurns = "final"
    max_length: int | None = None
    part_tokens: int | None = None
    workers: int = 1
    limit: int | None = None
    shuffle_seed: int | None = None
    max_rejected: float | None = None
    overwrite: bool = False
    resume: bool = False

    def run(self) -> Manifest:
        """Write the TOKENS_DIR.

        :raises InputError: when an input, the tokenizer or the output folder cannot be used;
            nothing was written.
        :raises WorkFailed: when too many records were rejected; what was done can be resumed.
        """
        return self._run(self._load(), self._check())

    def plan(self) -> list[str]:
        """What :meth:`run` would do, in words: every record is checked, nothing is written."""
        tokenizer, counts = self._load(), self._check()
        lines = [f"{path}: {n} records" for path, n in zip(self.inputs, counts, strict=True)]
        dtype = smallest_uint(tokenizer.vocab_size)
        lines.append(
            f"tokenizer {tokenizer.source}: {tokenizer.vocab_size} tokens, written as {dtype.name}"
        )
        found = survey(self._records(), self._encoder(tokenizer), self._total(counts))
        return lines + found.lines(self.out, self.max_rejected)

    # --- before anything is written --------------------------------------------------------------

    def _load(self) -> AnchorTokenizer:
        tokenizer = AnchorTokenizer.load(self.tokenizer, layout=self.layout)
        if self.train_turns == "all" and tokenizer.layout == "plain":
            raise InputError(
                "--train-turns all: the layout plain has no token that ends an earlier turn, which "
                "would be trained without an end; take --layout olmo"
            )
        return tokenizer

    def _check(self) -> list[int]:
        for option, given in (("--max-length", self.max_length), ("--layout", self.layout)):
            if given is not None and not self.chat:
                raise InputError(f"{option} is for conversations: give --chat, or leave it out")
        for path in self.inputs:
            if not path.exists():
                raise InputError(f"{path}: no such file")
            if path.is_dir():
                raise InputError(f"{path}: is a folder; name the JSONL files in it")
            if not path.is_file():
                raise InputError(f"{path}: is a pipe, and inputs are read twice; give a file")
            if path.resolve().is_relative_to(self.out.resolve()):
                raise InputError(f"{path}: lies inside the output folder {self.out}")
        with progress("checking inputs", len(self.inputs)) as advance:
            counts = []
            for path in self.inputs:
                counts.append(check_input(path, chat=self.chat))
                advance(1)
        return counts

    def _total(self, counts: list[int]) -> int:
        return min(sum(counts), self.limit or sum(counts))

    def _encoder(self, tokenizer: AnchorTokenizer) -> Encoder:
        stems = tuple(stem(path) for path in self.inputs)
        return Encoder(tokenizer, stems, self.chat, self.train_turns, self.max_length)

    def _records(self) -> Iterator[Record]:
        records = (
            record
            for source, path in enumerate(self.inputs)
            for record in read_records(path, source)
        )
        if self.shuffle_seed is not None:
            held = list(records)
            order = np.random.default_rng(self.shuffle_seed).permutation(len(held))
            records = (held[index] for index in order)
        return islice(records, self.limit)

    # --- the work --------------------------------------------------------------------------------

    def _run(self, tokenizer: AnchorTokenizer, counts: list[int]) -> Manifest:
        started = time.monotonic()
        inputs = [file_record(path) for path in self.inputs]
        identity = self._identity(inputs, tokenizer)
        prepare_output(self.out, overwrite=self.overwrite, resume=self.resume)
        if (self.out / MANIFEST).exists():
            return self._finished(identity)
        journal = PartJournal(self.out, identity, PART_FILES)
        state = resume(self.out, self.out / _REJECTED, journal)
        tokenizer.save(self.out / "tokenizer")
        rejects = Rejects(self.out / _REJECTED)
        total = self._total(counts)
        self._write(tokenizer, state, journal, rejects, total)
        rejects.close()
        if not journal.parts:
            reason = rejects.reasons.most_common(1)[0][0]
            raise WorkFailed(f"{self.out}: all {total} records were rejected, mostly: {reason}")
        check_rejected(rejects, total, self.max_rejected)
        parts = [{k: v for k, v in part.items() if k != "state"} for part in journal.parts]
        manifest = self._manifest(tokenizer, inputs, identity, state, parts, rejects, total)
        manifest.seconds = round(time.monotonic() - started, 3)
        manifest.write(self.out)
        journal.remove()
        return manifest

    def _write(
        self,
        tokenizer: AnchorTokenizer,
        state: State,
        journal: PartJournal,
        rejects: Rejects,
        total: int,
    ) -> None:
        dtype = smallest_uint(tokenizer.vocab_size)
        limit = self.part_tokens or _PART_BYTES // dtype.itemsize
        seen = seen_ids(self.out, len(journal.parts))
        part: PartWriter | None = None

        def finish(part: PartWriter) -> None:
            journal.append(state.entry(part.finish()))

        records = islice(self._records(), state.consumed, None)
        with progress("tokenizing records", total) as advance:
            advance(state.consumed)
            for item in encode_records(records, self._encoder(tokenizer), self.workers):
                item = refuse_duplicate(item, seen)
                if isinstance(item, Encoded):
                    if part is not None and part.tokens + len(item.ids) > limit:
                        finish(part)
                        part = None
                    if part is None:
                        part = PartWriter(self.out, len(journal.parts), dtype, with_mask=self.chat)
                    part.add(item.ids, item.mask, item.id)
                    state.count(item)
                else:
                    self._reject(item, rejects)
                    state.rejected_bytes = rejects.path.stat().st_size
                state.consumed += 1
                advance(1)
            if part is not None:
                finish(part)

    def _reject(self, item: Rejected, rejects: Rejects) -> None:
        source, line = item.record
        where: dict[str, Any] = {"file": str(self.inputs[source]), "line": line}
        if item.id is not None:
            where["id"] = item.id
        if item.detail:
            where["detail"] = item.detail
        rejects.add(item.reason, **where)

    # --- what it was made from -------------------------------------------------------------------

    def _identity(self, inputs: list[FileRecord], tokenizer: AnchorTokenizer) -> dict[str, Any]:
        """All that the files depend on; --resume goes on only with the same."""
        return {
            "inputs": [[record["size"], record["sha256"]] for record in inputs],
            "names": [stem(path) for path in self.inputs],
            "tokenizer": tokenizer.hash,
            "end_of_text": tokenizer.end_of_text,
            "delimiters": list(tokenizer.delimiters),
            "chat": self.chat,
            "layout": tokenizer.layout if self.chat else None,
            "train_turns": self.train_turns if self.chat else None,
            "max_length": self.max_length,
            "part_tokens": self.part_tokens,
            "limit": self.limit,
            "shuffle_seed": self.shuffle_seed,
        }

    def _finished(self, identity: dict[str, Any]) -> Manifest:
        manifest = read_manifest(self.out, "tokens")
        PartJournal.check(self.out, manifest.extra["identity"], identity)
        return manifest

    def _manifest(
        self,
        tokenizer: AnchorTokenizer,
        inputs: list[FileRecord],
        identity: dict[str, Any],
        state: State,
        parts: list[dict[str, Any]],
        rejects: Rejects,
        total: int,
    ) -> Manifest:
        outputs = [
            record
            for part in parts
            for record in (part["ids"], part["mask"], part["csv"])
            if record is not None
        ]
        if rejects.count:
            outputs.append(file_record(rejects.path, self.out))
        outputs += [
            file_record(path, self.out) for path in sorted((self.out / "tokenizer").iterdir())
        ]
        config = asdict(self)
        config.update(inputs=[str(path) for path in self.inputs], out=str(self.out))
        return Manifest(
            kind="tokens",
            inputs=inputs,
            config=config,
            counts={
                "records": total,
                "documents": sum(part["documents"] for part in parts),
                "tokens": sum(part["tokens"] for part in parts),
                "parts": len(parts),
                "rejected": rejects.count,
                **state.counts,
            },
            outputs=outputs,
            seed=self.shuffle_seed,
            extra={
                "dtype": smallest_uint(tokenizer.vocab_size).name,
                "tokenizer_hash": tokenizer.hash,
                "vocab_size": tokenizer.vocab_size,
                "chat": self.chat,
                "layout": tokenizer.layout if self.chat else None,
                "train_turns": self.train_turns if self.chat else None,
                "rejected_reasons": dict(rejects.reasons),
                "identity": identity,
                "parts": parts,
            },
        )


def summary(manifest: Manifest, out: Path) -> str:
    """What a person wants to know when it is done, with the next command."""
    counts = manifest.counts
    lines = [
        f"{out}: {counts['documents']} documents, {counts['tokens']} tokens, "
        f"{counts['parts']} part(s) of {manifest.extra['dtype']}"
    ]
    if manifest.extra["chat"]:
        lines.append(
            f"trained: {counts['trained_tokens']} tokens; truncated: {counts['truncated']} "
            "conversations"
        )
    if broken := counts["controls_broken"]:
        lines.append(f"{broken:,} control strings in messages are broken up with a space: text now")
    reasons = manifest.extra["rejected_reasons"]
    lines.append(rejected_line(reasons, counts["records"], out / _REJECTED))
    lines.append(f"next: olmo-anchor annotate {out} --annotator keyword --out ANNOTATIONS_DIR")
    return "\n".join(lines)
