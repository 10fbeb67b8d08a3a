"""Cross-entropy and entropy by role, of a model on a held-out annotated set.

OLMo-core's own ``LMEvaluator`` cannot do this: it applies the unshifted label mask to the shifted
loss, and wants a ``metadata`` field that the composable loader does not give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from olmo_core.data.collator import DataCollator
from olmo_core.data.composable import InstanceSource
from olmo_core.data.composable.utils import as_tensor
from olmo_core.data.utils import get_document_lengths, get_labels
from olmo_core.distributed.utils import get_rank, get_world_size, is_distributed
from olmo_core.train.train_module import TransformerTrainModule
from olmo_core.utils import cuda_sync_debug_mode

from olmo_anchor.errors import InputError
from olmo_anchor.spans import ROLE_NAMES, ControlIds, roles
from olmo_anchor.training.scored_head import scored_head

__all__ = ["HeldOutSet", "Measured"]

Measured = dict[str, tuple[float, float]]
"""By role: mean cross-entropy of the true token and mean entropy of the prediction, in nats."""


@dataclass(frozen=True)
class HeldOutSet:
    """Instances of which a model is asked what it predicts.

    What counts are the targets of the source's own label mask: of a conversation the final turn
    with its annotation, of a document without masks everything but the first token of its row.

    :param max_documents: how many instances are read, evenly spread over the source; each holds
        one document where the source is padded.
    :param chunk: positions whose logits exist at one time.
    :param doc_lengths: tell the model where documents end, for sources that pack several into an
        instance.
    """

    source: InstanceSource
    control: ControlIds
    pad_id: int
    max_documents: int
    chunk: int
    doc_lengths: bool = False

    @property
    def fingerprint(self) -> str:
        """Two sets of one fingerprint give comparable numbers."""
        return f"{len(self._chosen)} of {self.source.fingerprint}"

    def measure(
        self, module: TransformerTrainModule, group: dist.ProcessGroup | None = None
    ) -> Measured:
        """What the model predicts as it is now; a role without targets is left out.

        Sums are in float64 over all ranks: the same for any number of them, up to rounding. Every
        rank takes part and gets the result. No random number is drawn.

        :param group: the data parallel ranks.
        :raises InputError: when no token is a target.
        """
        world, rank = get_world_size(group), get_rank(group)
        rows = max(module.rank_microbatch_size // self.source.sequence_length, 1)
        was_training = module.model.training
        sums = np.zeros((len(ROLE_NAMES), 3))  # tokens, cross-entropy, entropy
        # Reading a result waits for the GPU, of which the trainer would warn.
        with scored_head(module.model.lm_head, self.chunk), cuda_sync_debug_mode(0):
            # Under FSDP every forward is one of all ranks: each makes as many.
            for begin in range(0, len(self._chosen), rows * world):
                first = begin + rank * rows
                sums += self._sums(module, range(first, first + rows))
        module._set_model_mode("train" if was_training else "eval")
        if is_distributed():
            total = torch.from_numpy(sums).to(module.device)
            dist.all_reduce(total, group=group)
            sums = total.cpu().numpy()
        if not sums.any():
            raise InputError(
                f"no token of the held-out set {self.source.label} is a target; look at it with "
                "olmo-anchor inspect, or give its instances a longer sequence_length"
            )
        return {
            name: (cross_entropy / tokens, entropy / tokens)
            for name, (tokens, cross_entropy, entropy) in zip(
                ROLE_NAMES, sums.tolist(), strict=True
            )
            if tokens
        }

    def _sums(self, module: TransformerTrainModule, places: range) -> NDArray[np.float64]:
        """Of the chosen instances at these places; of a place past the last one, nothing."""
        batch = DataCollator(pad_token_id=self.pad_id)([self._item(place) for place in places])
        labels = get_labels(batch, label_ignore_index=module.label_ignore_index)
        counted = (labels != module.label_ignore_index).numpy()
        # The label at a position is the token after it.
        role_ids = np.roll(roles(batch["input_ids"].numpy(), self.control), -1, axis=1)[counted]
        output = module.eval_batch(batch, labels=labels)
        assert isinstance(output, torch.Tensor)
        values = output.cpu().double().numpy()[counted]
        by_role = [
            np.bincount(role_ids, weights, minlength=len(ROLE_NAMES))
            for weights in (None, *values.T)
        ]
        return np.stack(by_role, axis=1).astype(np.float64)

    def _item(self, place: int) -> dict[str, Any]:
        there = place < len(self._chosen)
        instance = self.source[int(self._chosen[place if there else 0])]
        ids, mask = as_tensor(instance["input_ids"]), instance.get("label_mask")
        label_mask = torch.ones(len(ids), dtype=torch.bool) if mask is None else as_tensor(mask)
        item = {"input_ids": ids, "label_mask": label_mask & there}
        if self.doc_lengths:
            item["doc_lens"] = get_document_lengths(ids, self.control.end_of_text)
        return item

    @property
    def _chosen(self) -> NDArray[np.int64]:
        count = min(self.max_documents, len(self.source))
        return np.arange(count) * len(self.source) // count
