"""What a policy trains, seen in the losses and gradients of a real model."""

from __future__ import annotations

import pytest
import torch
from olmo_core.data.utils import get_labels
from olmo_core.nn.transformer import Transformer

from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.collator import AnchorCollator
from olmo_anchor.training.models import olmo2_like
from tests.training.conftest import annotate


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    config = olmo2_like(d_model=32, n_layers=1, n_heads=2, vocab_size=384)
    model = config.build(init_device="cpu")
    model.init_weights(device=torch.device("cpu"))
    return model


def gradients(
    model: Transformer, tokenizer: AnchorTokenizer, policy: str
) -> tuple[torch.Tensor, list[bool]]:
    """How much each position's logits get of the gradient ``[n]``, and which tokens are text."""
    prompt, response = tokenizer.encode("A cat?"), tokenizer.encode("The cat sat.")
    ids = [
        *prompt,
        *annotate(tokenizer, ("topic", "cat"), ("name", "Bo")),
        *response,
        tokenizer.control.end_of_text,
    ]
    collate = AnchorCollator(
        pad_token_id=tokenizer.pad_id,
        control=tokenizer.control,
        policy=MaskPolicy(policy),
        value_only_fraction=0.0,
    )
    trained = [False] * len(prompt) + [True] * (len(ids) - len(prompt))
    items = [{"input_ids": torch.tensor(ids), "label_mask": torch.tensor(trained)}]
    batch = collate(items)
    labels = get_labels(batch)
    logits = model(batch["input_ids"])
    logits.retain_grad()
    loss = torch.nn.functional.cross_entropy(logits[0], labels[0], reduction="sum")
    loss.backward()
    assert logits.grad is not None
    text = len(ids) - len(response) - 1
    return logits.grad[0].abs().sum(-1), [k >= text for k in range(1, len(ids))]


def test_anchored_gives_annotation_targets_no_gradient(
    model: Transformer, tiny: AnchorTokenizer
) -> None:
    gradient, is_text = gradients(model, tiny, "anchored")
    # Position i predicts token i + 1: the closing delimiter predicts the first word.
    assert (gradient[:-1] > 0).tolist() == is_text
    assert gradient[-1] == 0


def test_unmasked_trains_the_annotation_too(model: Transformer, tiny: AnchorTokenizer) -> None:
    gradient, is_text = gradients(model, tiny, "unmasked")
    assert gradient[:-1][~torch.tensor(is_text)].count_nonzero() > 5
    assert gradient[:-1][torch.tensor(is_text)].all()


def test_padding_and_role_ids_do_not_change_the_loss(
    model: Transformer, tiny: AnchorTokenizer
) -> None:
    ids = [*tiny.encode("The cat sat."), tiny.control.end_of_text]
    items = [{"input_ids": torch.tensor(ids), "label_mask": torch.ones(len(ids), dtype=torch.bool)}]
    losses = []
    for padding, roles in ((0, False), (7, True)):
        padded = torch.nn.functional.pad(items[0]["input_ids"], (0, padding), value=tiny.pad_id)
        mask = torch.nn.functional.pad(items[0]["label_mask"], (0, padding))
        collate = AnchorCollator(
            pad_token_id=tiny.pad_id, control=tiny.control, emit_role_ids=roles
        )
        batch = collate([{"input_ids": padded, "label_mask": mask}])
        labels = get_labels(batch)
        # The train module hands everything in a batch to the model.
        _, loss, *_ = model(**batch, labels=labels, loss_reduction="sum", return_logits=False)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
