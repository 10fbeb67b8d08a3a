"""The label mask of a batch under a mask policy: OLMo-core's collator and one more step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from olmo_core.config import Config
from olmo_core.data.collator import DataCollator, PaddingDirection

from olmo_anchor.errors import WorkFailed
from olmo_anchor.policy import VALUE_ONLY_FRACTION, MaskPolicy, policy_mask
from olmo_anchor.spans import ControlIds, Events, roles
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["AnchorCollator", "AnchorCollatorConfig", "MaskPolicy", "policy_mask"]


@dataclass(kw_only=True)
class AnchorCollator(DataCollator):
    """Ands a :class:`MaskPolicy` to the corpus' label mask of every batch.

    Hand it to any loader of OLMo-core as ``collator=``. ``label_mask[row, i]`` says whether token
    i is itself a target; ``get_labels`` shifts later, so the first token of a row is never one.

    :raises ValueError: for ``anchored_given`` without ``pieces``; for a policy that masks by role,
        when rows are padded on the left, or one begins inside an annotation instead of at a
        document. (A row that lies wholly inside one has no delimiter and reads as text: an
        annotation is shorter than an instance.)
    :raises WorkFailed: under ``require_targets``, when a batch has no trained token (OLMo-core's
        loss would be 0/0), naming its documents or, without ``locate``, its instances. Nothing is
        unmasked to get out of it.
    """

    control: ControlIds
    policy: MaskPolicy = MaskPolicy.full
    value_only_fraction: float = VALUE_ONLY_FRACTION
    seed: int = 0
    train_opening: bool = False
    """As in :func:`policy_mask`."""
    pieces: Sequence[bytes] | None = field(default=None, repr=False)
    """As in :func:`policy_mask`: :meth:`olmo_anchor.tokenizer.AnchorTokenizer.pieces`."""
    require_targets: bool = True
    """Refuse a batch, which is one rank's part of the global batch, without a trained token. Not
    needed with :class:`~olmo_anchor.training.train_module.AnchorTrainModule`."""
    emit_role_ids: bool = False
    """Add ``role_ids``, uint8 of the shape of ``input_ids``, for callbacks that look at roles."""
    locate: Callable[[Sequence[int], str], str] | None = None
    """Names the documents of instances, such as :meth:`IndexedInstanceSource.locate`. Batches tell
    the index of an instance and the label of its source alone."""

    def __post_init__(self) -> None:
        self.policy = MaskPolicy(self.policy)
        if self.policy.masks_by_role and self.pad_direction != PaddingDirection.right:
            raise ValueError(f"policy {self.policy} needs padding on the right")
        if self.policy is MaskPolicy.anchored_given and self.pieces is None:
            raise ValueError(f"policy {self.policy} needs pieces=tokenizer.pieces()")

    def __call__(self, items: Sequence[dict[str, Any]] | Sequence[torch.Tensor]) -> dict[str, Any]:
        batch = super().__call__(items)
        ids = batch["input_ids"].numpy()
        events = None
        if self.policy.masks_by_role:
            events = Events.find(ids, self.control)
            if events.starts_inside.any():
                torn = events.starts_inside.nonzero()[0].tolist()
                raise ValueError(
                    f"policy {self.policy} needs instances that begin at a document; "
                    f"{name_rows(batch, torn)} begins inside an annotation"
                )
        corpus = batch.get("label_mask")
        mask = policy_mask(
            ids,
            None if corpus is None else corpus.numpy(),
            self.policy,
            self.control,
            value_only_fraction=self.value_only_fraction,
            seed=self.seed,
            train_opening=self.train_opening,
            pieces=self.pieces,
            events=events,
        )
        if self.require_targets and not mask[:, 1:].any():
            raise self.untrained(batch)
        batch["label_mask"] = torch.from_numpy(mask)
        if self.emit_role_ids:
            batch["role_ids"] = torch.from_numpy(roles(ids, self.control))
        return batch

    def untrained(self, batch: dict[str, Any]) -> WorkFailed:
        """What to raise for a batch that trains no token, naming its documents or instances."""
        if self.locate is not None and "index" in batch:
            where = self.locate(batch["index"].tolist(), f" --policy {self.policy}")
        else:
            where = name_rows(batch)
        return WorkFailed(
            f"policy {self.policy}: no token of a batch is trained, in {where}. A longer "
            "sequence_length may help, where documents are cut before what is trained"
        )


def name_rows(batch: dict[str, Any], rows: Sequence[int] | None = None) -> str:
    """The instances in some rows of a batch, by default all, as far as it names them."""
    if rows is None:
        rows = range(len(batch["input_ids"]))
    indexes = batch["index"].tolist() if "index" in batch else None
    names = [str(indexes[row]) if indexes else f"row {row}" for row in rows]
    sources = {entry["source"] for entry in batch.get("metadata", ()) if "source" in entry}
    kind = "instances" if indexes else "rows"
    where = f" of {', '.join(sorted(sources))}" if sources else ""
    return f"{kind} {', '.join(names)}{where}"


@dataclass
class AnchorCollatorConfig(Config):
    """What of :class:`AnchorCollator` belongs into an experiment's config."""

    policy: MaskPolicy = MaskPolicy.full
    value_only_fraction: float = VALUE_ONLY_FRACTION
    """The share of documents in which an ``anchored`` policy masks only the values."""
    seed: int = 0
    """Of the choice of value-only documents."""
    train_opening: bool = False
    """Train the opening delimiter of every annotation, whatever the policy masks: for bases that
    were pretrained on some documents without annotations."""
    require_targets: bool = True
    emit_role_ids: bool = False
    control: dict[str, int] = field(default_factory=dict)
    """The ids of :class:`ControlIds` by name; recipes fill them in from the tokenizer."""

    def build(
        self, *, pad_token_id: int, vocab_size: int, tokenizer: AnchorTokenizer | None = None
    ) -> AnchorCollator:
        """:param vocab_size: ids outside of it are refused.
        :param tokenizer: of the data, which ``anchored_given`` needs.
        :raises ValueError: when it is not there.
        """
        given = self.policy == MaskPolicy.anchored_given and tokenizer is not None
        return AnchorCollator(
            pad_token_id=pad_token_id,
            vocab_size=vocab_size,
            control=ControlIds(**self.control),
            policy=self.policy,
            value_only_fraction=self.value_only_fraction,
            seed=self.seed,
            train_opening=self.train_opening,
            pieces=tokenizer.pieces() if given and tokenizer is not None else None,
            require_targets=self.require_targets,
            emit_role_ids=self.emit_role_ids,
        )

    def set_control(self, control: ControlIds) -> None:
        self.control = asdict(control)
