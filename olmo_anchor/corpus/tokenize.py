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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from olmo_anchor.chat import TrainTurns
from olmo_anchor.corpus.documents import Record
from olmo_anchor.corpus.dry_run import survey
from olmo_anchor.corpus.encode import (
    ConversationEncoder,
    DocumentEncoder,
    Encoded,
    Encoder,
    Rejected,
)
from olmo_anchor.corpus.part_journal import PartJournal
from olmo_anchor.corpus.parts import PartWriter, smallest_uint
from olmo_anchor.corpus.resume import PART_FILES, State, resume, seen_ids
from olmo_anchor.corpus.sources import Source, check_source, open_sources, read_batches
from olmo_anchor.corpus.workers import encode_batches
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.journal import Rejects, check_rejected, rejected_line
from olmo_anchor.manifest import (
    MANIFEST,
    FileRecord,
    Manifest,
    check_output,
    file_record,
    prepare_output,
    read_manifest,
)
from olmo_anchor.progress import progress
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["TokenizeConfig", "summary"]

Checked = tuple[FileRecord, int | None]

_PART_BYTES = 1 << 30
_SHUFFLED_BATCH = 256
_REJECTED = "rejected.jsonl"


@dataclass
class TokenizeConfig:
    """What ``olmo-anchor tokenize`` does.

    :param inputs: JSONL files, also ``.gz`` and ``.zst``, Parquet files, folders of both, and
        ``hf://datasets/NAME[/CONFIG]:SPLIT``.
    :param tokenizer: a ``tokenizer.json``, a folder that holds one, or a hub id.
    :param chat: the records are conversations.
    :param layout: of the conversations, ``olmo`` or ``plain``; default the tokenizer's, ``olmo``.
    :param train_turns: which assistant turns are targets.
    :param max_length: of a conversation in tokens; annotations, which come later, do not count.
    :param part_tokens: a part holds at most so many tokens, or one longer document; by default as
        many as fill 1 GiB.
    :param workers: processes that encode, this one among them, of one thread each.
    :param limit: use only the first records, after shuffling.
    :param shuffle_seed: shuffle the records; they are held in memory then.
    :param max_rejected: fail when a larger share of the records is rejected; without one,
        :func:`~olmo_anchor.journal.default_share`.
    """

    inputs: tuple[str | Path, ...]
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
        tokenizer, sources = self._load(), self._open()
        check_output(self.out, overwrite=self.overwrite, resume=self.resume)
        checked = self._check(sources)
        sizes = [source.size for source in sources]
        tokenizer.speed_up(None if None in sizes else sum(size or 0 for size in sizes))
        return self._run(
            tokenizer, sources, [record for record, _ in checked], self._total(checked)
        )

    def plan(self) -> list[str]:
        """What :meth:`run` would do, in words: every record is checked, nothing is written."""
        tokenizer, sources = self._load(), self._open()
        total = self._total(self._check(sources))
        records = chain.from_iterable(self._batches(sources))
        found = survey(records, self._encoder(tokenizer, sources), total)
        lines = [f"{sources[k].label}: {n} records" for k, n in sorted(found.by_source.items())]
        dtype = smallest_uint(tokenizer.vocab_size)
        lines.append(
            f"tokenizer {tokenizer.source}: {tokenizer.vocab_size} tokens, written as {dtype.name}"
        )
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

    def _open(self) -> list[Source]:
        for option, given in (("--max-length", self.max_length), ("--layout", self.layout)):
            if given is not None and not self.chat:
                raise InputError(f"{option} is for conversations: give --chat, or leave it out")
        return open_sources(self.inputs, self.out)

    def _check(self, sources: list[Source]) -> list[Checked]:
        # Reading, hashing and decompressing let go of the interpreter's lock.
        with (
            progress("checking inputs", len(sources)) as advance,
            ThreadPoolExecutor(self.workers) as pool,
        ):
            checked = []
            try:
                for one in pool.map(lambda source: check_source(source, chat=self.chat), sources):
                    checked.append(one)
                    advance(1)
            except InputError:
                pool.shutdown(cancel_futures=True)
                raise
        return checked

    def _total(self, checked: list[Checked]) -> int | None:
        """How many records there are about, blank lines among them."""
        counts = [count for _, count in checked]
        if None in counts:
            return self.limit
        total = sum(count or 0 for count in counts)
        return min(total, self.limit or total)

    def _encoder(self, tokenizer: AnchorTokenizer, sources: list[Source]) -> Encoder:
        names = tuple(source.name for source in sources)
        if self.chat:
            return ConversationEncoder(tokenizer, names, self.train_turns, self.max_length)
        return DocumentEncoder.of(tokenizer, names)

    def _batches(self, sources: list[Source], skip: int = 0) -> Iterator[list[Record]]:
        """The records to use, in their order, without the first ``skip``."""
        if self.shuffle_seed is None:
            batches = read_batches(sources, skip)
        else:
            held = list(chain.from_iterable(read_batches(sources)))
            order = np.random.default_rng(self.shuffle_seed).permutation(len(held))[skip:]
            batches = (
                [held[index] for index in order[at : at + _SHUFFLED_BATCH]]
                for at in range(0, len(order), _SHUFFLED_BATCH)
            )
        left = None if self.limit is None else self.limit - skip
        for batch in batches:
            if left is not None:
                batch = batch[:left]
                left -= len(batch)
            if not batch:
                return
            yield batch

    # --- the work --------------------------------------------------------------------------------

    def _run(
        self,
        tokenizer: AnchorTokenizer,
        sources: list[Source],
        inputs: list[FileRecord],
        total: int | None,
    ) -> Manifest:
        started = time.monotonic()
        identity = self._identity(inputs, sources, tokenizer)
        prepare_output(self.out, overwrite=self.overwrite, resume=self.resume)
        if (self.out / MANIFEST).exists():
            return self._finished(identity)
        journal = PartJournal(self.out, identity, PART_FILES)
        state = resume(self.out, self.out / _REJECTED, journal)
        tokenizer.save(self.out / "tokenizer")
        rejects = Rejects(self.out / _REJECTED)
        self._write(tokenizer, sources, state, journal, rejects, total)
        rejects.close()
        records = state.consumed
        if not journal.parts:
            reason = rejects.reasons.most_common(1)[0][0]
            raise WorkFailed(f"{self.out}: all {records} records were rejected, mostly: {reason}")
        check_rejected(rejects, records, self.max_rejected)
        parts = [{k: v for k, v in part.items() if k != "state"} for part in journal.parts]
        manifest = self._manifest(tokenizer, inputs, identity, state, parts, rejects)
        manifest.seconds = round(time.monotonic() - started, 3)
        manifest.write(self.out)
        journal.remove()
        return manifest

    def _write(
        self,
        tokenizer: AnchorTokenizer,
        sources: list[Source],
        state: State,
        journal: PartJournal,
        rejects: Rejects,
        total: int | None,
    ) -> None:
        dtype = smallest_uint(tokenizer.vocab_size)
        limit = self.part_tokens or _PART_BYTES // dtype.itemsize
        seen = seen_ids(self.out, len(journal.parts))
        part: PartWriter | None = None

        def finish(part: PartWriter) -> None:
            journal.append(state.entry(part.finish()))

        encoder = self._encoder(tokenizer, sources)
        batches = self._read(sources, state.consumed)
        with progress("tokenizing records", total) as advance:
            advance(state.consumed)
            for batch in encode_batches(batches, encoder, self.workers):
                for item in seen.refuse(batch):
                    if isinstance(item, Encoded):
                        if part is not None and part.tokens + len(item.ids) > limit:
                            finish(part)
                            part = None
                        if part is None:
                            index = len(journal.parts)
                            part = PartWriter(self.out, index, dtype, with_mask=self.chat)
                        part.add(item.ids, item.mask, item.id)
                        state.count(item)
                    else:
                        self._reject(item, sources, rejects)
                        state.rejected_bytes = rejects.path.stat().st_size
                    state.consumed += 1
                advance(len(batch))
            if part is not None:
                finish(part)

    def _read(self, sources: list[Source], skip: int) -> Iterator[list[Record]]:
        try:
            yield from self._batches(sources, skip)
        except InputError as error:
            # It was read when it was checked, and parts were written since.
            raise WorkFailed(f"{error}; what is done is kept, --resume goes on") from None

    def _reject(self, item: Rejected, sources: list[Source], rejects: Rejects) -> None:
        source, line = item.record
        where: dict[str, Any] = {"file": sources[source].label, "line": line}
        if item.id is not None:
            where["id"] = item.id
        if item.detail:
            where["detail"] = item.detail
        rejects.add(item.reason, **where)

    # --- what it was made from -------------------------------------------------------------------

    def _identity(
        self, inputs: list[FileRecord], sources: list[Source], tokenizer: AnchorTokenizer
    ) -> dict[str, Any]:
        """All that the files depend on; --resume goes on only with the same.

        The library that encodes is not of it: they all give the same ids.
        """
        return {
            "inputs": [[record["size"], record["sha256"]] for record in inputs],
            "names": [source.name for source in sources],
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
                "records": state.consumed,
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
                **tokenizer.facts(),
                "chat": self.chat,
                "layout": tokenizer.layout if self.chat else None,
                "train_turns": self.train_turns if self.chat else None,
                "encoder": tokenizer.text_encoder_name,
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
        f"{counts['parts']} part(s) of {manifest.extra['dtype']}, encoded with "
        f"{manifest.extra.get('encoder', 'tokenizers')}"
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
