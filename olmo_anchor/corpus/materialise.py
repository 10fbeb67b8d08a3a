"""The interleaved corpus written out as stock token files, for readers that know of no overlay.

The folder is a TOKENS_DIR like any other (``token_ids_part_XXXX.npy`` with its ``.csv.gz``, and
``labels_mask_part_XXXX.npy``), with the annotations in the token files and the mask policy in the
label masks; its manifest says so (``interleaved``, ``policy``), and no overlay can be laid over it.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmo_anchor.corpus.overlay_files import OverlayDir, interleave
from olmo_anchor.corpus.part_journal import PartJournal
from olmo_anchor.corpus.parts import PartWriter
from olmo_anchor.corpus.token_files import Part
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import MANIFEST, Manifest, prepare_output, read_manifest
from olmo_anchor.policy import VALUE_ONLY_FRACTION, MaskPolicy, policy_mask
from olmo_anchor.progress import Advance, progress
from olmo_anchor.spans import final_run_mask
from olmo_anchor.terminal import console

__all__ = ["MaterialiseConfig", "default_policy", "summary"]


def default_policy(tokens: TokensDir) -> MaskPolicy:
    """Conversations are anchored; documents are trained whole, annotations included."""
    return MaskPolicy.anchored if tokens.chat else MaskPolicy.full


def summary(manifest: Manifest, out: Path) -> str:
    """One line for the terminal."""
    counts = manifest.counts
    share = counts["trained_tokens"] / max(1, counts["tokens"])
    return (
        f"{out}: {counts['documents']:,} documents, {counts['tokens']:,} tokens, {share:.1%} of "
        f"them trained under policy {manifest.extra['policy']}; "
        f"{counts['documents_without_target']:,} documents without a trained token"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialiseConfig:
    """Write a TOKENS_DIR and its overlay as one TOKENS_DIR.

    :param policy: what the label masks say; without one, :func:`default_policy`.
    :param train_opening: train opening delimiters also where the policy masks them.
    :param train_turns: ``final`` keeps the last trained run of each conversation.
    :param unannotated: ``leave_out`` trains nothing of a conversation whose last trained run has no
        annotation, ``train`` trains it as it stands.
    :param seed: decides, with the document's ids, which documents are value-only.
    """

    tokens: Path
    overlay: Path
    out: Path
    policy: MaskPolicy | None = None
    value_only_fraction: float = VALUE_ONLY_FRACTION
    train_opening: bool = False
    train_turns: str = "final"
    unannotated: str = "leave_out"
    seed: int = 0
    overwrite: bool = False
    resume: bool = False

    def run(self) -> Manifest:
        """Read in blocks of documents and write; memory does not grow with the corpus.

        :raises InputError: when the overlay does not belong to the tokens, or ``out`` exists.
        """
        began = time.monotonic()
        tokens = TokensDir.open(self.tokens)
        overlay = OverlayDir.open(self.overlay, tokens, verify=True)
        tokens.check_contents()
        tokenizer = tokens.tokenizer()
        complete = overlay.manifest.extra.get("every_run_annotated", False)
        if tokens.has_masks and self.train_turns == "all" and not complete:
            raise InputError(
                f"{self.overlay}: not every trained turn has an annotation; training the others "
                "too would train the anchor away. Use --train-turns final"
            )
        policy = MaskPolicy(self.policy) if self.policy else default_policy(tokens)
        key = {
            "tokens_manifest": tokens.manifest.hash,
            "overlay_manifest": overlay.manifest.hash,
            "policy": str(policy),
            "value_only_fraction": self.value_only_fraction,
            "train_turns": self.train_turns if tokens.has_masks else None,
            "seed": self.seed,
            # What was not asked for is not told: folders of before there was a choice go on.
            **({"train_opening": True} if self.train_opening else {}),
            **({"unannotated": "train"} if self.unannotated == "train" else {}),
        }
        if self.resume and (self.out / MANIFEST).exists():
            manifest = read_manifest(self.out, "tokens")
            PartJournal.check(self.out, manifest.extra.get("materialised", {}), key)
            console.print(f"{self.out}: finished already")
            return manifest
        if self.out.resolve() in (self.tokens.resolve(), self.overlay.resolve()):
            raise InputError(f"{self.out}: is an input; name another folder for --out")
        # Before what would be replaced is gone.
        tokens.check_bounds()
        prepare_output(self.out, overwrite=self.overwrite, resume=self.resume)
        pieces = tokenizer.pieces() if policy is MaskPolicy.anchored_given else None
        journal = PartJournal(self.out, key, ("ids", "mask", "csv"))
        with progress("writing tokens", tokens.tokens) as advance:
            advance(sum(part["source_tokens"] for part in journal.parts))
            for part in tokens.parts[len(journal.parts) :]:
                journal.append(self._part(part, overlay, policy, pieces, advance))
        shutil.copytree(tokens.folder / "tokenizer", self.out / "tokenizer", dirs_exist_ok=True)
        manifest = self._manifest(tokens, overlay, key, journal.parts, time.monotonic() - began)
        journal.remove()
        return manifest

    def _part(
        self,
        part: Part,
        overlay: OverlayDir,
        policy: MaskPolicy,
        pieces: Sequence[bytes] | None,
        advance: Advance,
    ) -> dict[str, Any]:
        writer = PartWriter(self.out, part.index, part.dtype, with_mask=True)
        counts = Counter[str](trained_tokens=0, documents_without_target=0)
        indexes = overlay.part(part.index)
        for block in part.blocks():
            woven = interleave(block, indexes)
            corpus = woven.mask
            if corpus is not None and self.train_turns == "final":
                opened = None
                if self.unannotated == "leave_out":
                    opened = np.flatnonzero(woven.ids == overlay.control.open)
                corpus = final_run_mask(corpus, woven.bounds, opened)
            mask = policy_mask(
                woven.ids,
                corpus,
                policy,
                overlay.control,
                value_only_fraction=self.value_only_fraction,
                seed=self.seed,
                train_opening=self.train_opening,
                pieces=pieces,
            )
            counts["trained_tokens"] += int(mask.sum())
            for k, name in enumerate(block.names):
                cut = slice(*woven.bounds[k : k + 2])
                counts["documents_without_target"] += not mask[cut].any()
                writer.add(woven.ids[cut], mask[cut], name or "")
            advance(len(block.ids))
        entry = writer.finish()
        return {**entry, **counts, "source_tokens": part.tokens}

    def _manifest(
        self,
        tokens: TokensDir,
        overlay: OverlayDir,
        key: dict[str, Any],
        parts: list[dict[str, Any]],
        seconds: float,
    ) -> Manifest:
        total: Counter[str] = Counter()
        for part in parts:
            total.update({k: v for k, v in part.items() if isinstance(v, int)})
        manifest = Manifest(
            kind="tokens",
            inputs=[
                {"path": str(folder.resolve() / MANIFEST), "sha256": made.hash}
                for folder, made in (
                    (tokens.folder, tokens.manifest),
                    (overlay.folder, overlay.manifest),
                )
            ],
            config={k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()},
            counts={**total, "parts": len(parts)},
            outputs=[part[name] for part in parts for name in ("ids", "mask", "csv")],
            seed=self.seed,
            extra={
                "dtype": tokens.manifest.extra["dtype"],
                "tokenizer_hash": tokens.tokenizer_hash,
                "vocab_size": tokens.vocab_size,
                "delimiters": " ".join(tokens.tokenizer().delimiters),
                "layout": tokens.manifest.extra.get("layout"),
                "chat": tokens.chat,
                "train_turns": key["train_turns"],
                "interleaved": True,
                "policy": key["policy"],
                "materialised": key,
                "parts": parts,
                "value_only_fraction": key["value_only_fraction"],
            },
            seconds=round(seconds, 3),
        )
        manifest.write(self.out)
        return manifest
