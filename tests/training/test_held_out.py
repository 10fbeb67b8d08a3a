"""Cross-entropy and entropy by role, against numbers worked out by hand and whole logits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import ConcatAndChunkInstanceSource, InMemoryDocumentSource
from olmo_core.data.utils import get_labels
from olmo_core.eval.lm_evaluator import LMEvaluator
from olmo_core.nn.lm_head import LMHead
from olmo_core.optim import AdamWConfig
from olmo_core.train.train_module import TransformerTrainModule, TransformerTrainModuleConfig
from torch.utils._python_dispatch import TorchDispatchMode

from olmo_anchor.errors import InputError
from olmo_anchor.spans import ROLE_NAMES, ControlIds, roles
from olmo_anchor.training.held_out import HeldOutSet
from olmo_anchor.training.instances import PaddedInstanceSource, PaddedInstanceSourceConfig
from olmo_anchor.training.models import olmo2_like
from olmo_anchor.training.scored_head import scored_head, scores
from olmo_anchor.training.source import InterleavedDocumentSourceConfig
from tests.training.conftest import Corpus

END, OPEN, CLOSE, COLON, NEWLINE, PAD = range(6)
CONTROL = ControlIds(open=OPEN, close=CLOSE, colon=COLON, newline=NEWLINE, end_of_text=END)
SIZE = 16
TOKENIZER = TokenizerConfig(vocab_size=SIZE, eos_token_id=END, pad_token_id=PAD)
# user <open> key : value <close> text <end>
DOCUMENT = [10, OPEN, 11, COLON, 12, CLOSE, 14, END]
MASK = [False, True, True, True, True, True, True, True]
NEXT = {
    10: {OPEN: 0.5, 14: 0.5},
    OPEN: {11: 1.0},
    11: {COLON: 1.0},
    COLON: {12: 0.25, 13: 0.75},
    12: {CLOSE: 1.0},
    CLOSE: {14: 0.5, 15: 0.25, 10: 0.25},
    14: {END: 1.0},
}


def train_module(
    vocab_size: int, *, rows: int = 4, length: int = 64, d_model: int = 16
) -> TransformerTrainModule:
    config = TransformerTrainModuleConfig(
        rank_microbatch_size=rows * length, max_sequence_length=length, optim=AdamWConfig()
    )
    model = olmo2_like(d_model=d_model, n_layers=2, n_heads=2, vocab_size=vocab_size)
    module = config.build(model.build(init_device="meta"))
    assert isinstance(module, TransformerTrainModule)
    return module


def bigrams(rows: int) -> TransformerTrainModule:
    """A model that predicts each token from the one before, with the probabilities of NEXT."""
    module = train_module(SIZE, rows=rows, length=len(DOCUMENT))
    with torch.no_grad():
        # Blocks add nothing, so that the head sees the token itself, of length sqrt(d_model).
        for name, weight in module.model.named_parameters():
            if "norm" in name and "blocks" in name:
                weight.zero_()
        module.model.embeddings.weight.copy_(torch.eye(SIZE))
        head = torch.full((SIZE, SIZE), -60.0)
        for token, following in NEXT.items():
            for other, probability in following.items():
                head[other, token] = math.log(probability)
        module.model.lm_head.w_out.weight.copy_(head / math.sqrt(SIZE))
    return module


def by_hand(work: Path, documents: int, mask: list[bool] | None = None, **options: Any) -> Any:
    ids, masks = np.array(DOCUMENT * documents), np.array((mask or MASK) * documents)
    source = InMemoryDocumentSource(ids, tokenizer=TOKENIZER, work_dir=work, label_mask=masks)
    config = PaddedInstanceSourceConfig([], len(DOCUMENT), TOKENIZER)
    padded = PaddedInstanceSource(source, config=config, work_dir=work)
    return HeldOutSet(padded, CONTROL, PAD, **{"max_documents": 9, "chunk": 3, **options})


def annotated(corpus: Corpus, work: Path, length: int, **options: Any) -> HeldOutSet:
    tokenizer = corpus.tokenizer
    padding = TokenizerConfig(
        tokenizer.vocab_size, tokenizer.control.end_of_text, pad_token_id=tokenizer.pad_id
    )
    folders = InterleavedDocumentSourceConfig(str(corpus.tokens), str(corpus.overlay))
    source = PaddedInstanceSourceConfig([folders], length, padding).build(work)
    options = {"max_documents": 30, "chunk": 50, **options}
    return HeldOutSet(source, tokenizer.control, tokenizer.pad_id, **options)


def test_scores_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]).log()
    expected = [[math.log(4), 1.5 * math.log(2)], [0.0, 0.0]]
    torch.testing.assert_close(scores(logits, torch.tensor([1, 0])), torch.tensor(expected))


@pytest.mark.parametrize(("rows", "documents"), [(1, 1), (2, 3), (8, 3)])
def test_a_model_with_known_probabilities(rows: int, documents: int, tmp_path: Path) -> None:
    measured = by_hand(tmp_path, documents).measure(bigrams(rows))
    log2 = math.log(2)
    # The opening delimiter has 1/2, the closing one is certain; so are key and colon. The value has
    # 1/4 beside 3/4; the first word 1/2 beside two of 1/4, the end of the text is certain.
    expected = {
        "text": (log2 / 2, 1.5 * log2 / 2),
        "delimiter": (log2 / 2, log2 / 2),
        "key": (0.0, 0.0),
        "value": (2 * log2, 0.562335),
    }
    assert list(measured) == list(expected)
    for role, values in expected.items():
        assert measured[role] == pytest.approx(values, abs=1e-5)


def test_what_the_mask_leaves_out_is_not_counted(tmp_path: Path) -> None:
    mask = [True, False, False, False, True, False, False, False]
    measured = by_hand(tmp_path, 2, mask).measure(bigrams(2))
    # The first token of a row is no target: only the value is left.
    assert list(measured) == ["value"]
    assert measured["value"][0] == pytest.approx(math.log(4), abs=1e-5)


def test_a_set_without_a_target_is_named(tmp_path: Path) -> None:
    source = InMemoryDocumentSource(
        DOCUMENT, tokenizer=TOKENIZER, work_dir=tmp_path, label_mask=[False] * len(DOCUMENT)
    )
    chunks = ConcatAndChunkInstanceSource(
        source, sequence_length=len(DOCUMENT), work_dir=tmp_path, label="mine"
    )
    with pytest.raises(InputError, match="no token of the held-out set mine is a target"):
        HeldOutSet(chunks, CONTROL, PAD, 9, 3).measure(bigrams(2))


@pytest.mark.parametrize("kind", ["prose", "chat"])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_give_what_whole_logits_give(
    kind: str, chunk: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    corpus: Corpus = request.getfixturevalue(kind)
    held_out = annotated(corpus, tmp_path, 64, chunk=chunk)
    torch.manual_seed(0)
    module = train_module(384)
    expected: dict[str, list[tuple[float, float]]] = {name: [] for name in ROLE_NAMES}
    source = held_out.source
    assert len(source) > 60
    for k in range(30):
        instance = source[k * len(source) // 30]
        ids, mask = instance["input_ids"], instance["label_mask"]  # type: ignore[typeddict-item]
        assert isinstance(ids, torch.Tensor)
        with torch.no_grad():
            log_p = module.model(ids[None])[0].double().log_softmax(-1)
        role_ids = roles(ids.numpy(), corpus.tokenizer.control)
        for at in range(1, len(ids)):
            if mask[at]:
                p = log_p[at - 1]
                entropy = -(p.exp() * p).sum().item()
                expected[ROLE_NAMES[role_ids[at]]].append((-p[ids[at]].item(), entropy))
    measured = held_out.measure(module)
    assert set(measured) == set(ROLE_NAMES)
    for role, values in expected.items():
        assert measured[role] == pytest.approx(np.mean(values, axis=0), rel=1e-5)


class Largest(TorchDispatchMode):
    """The elements of the largest tensor that was made."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def test_no_more_logits_than_a_chunk_exist_at_one_time(prose: Corpus, tmp_path: Path) -> None:
    vocabulary = 50_000
    module = train_module(vocabulary, rows=8)
    with Largest() as largest:
        annotated(prose, tmp_path, 64, chunk=40).measure(module)
    assert largest.elements == 40 * vocabulary
    with Largest() as largest, torch.no_grad():
        module.model(torch.zeros(8, 64, dtype=torch.int64))
    assert largest.elements == 8 * 64 * vocabulary


def test_the_model_and_random_numbers_are_left_as_they_were(prose: Corpus, tmp_path: Path) -> None:
    module, held_out = train_module(384), annotated(prose, tmp_path, 64)
    for training in (True, False):
        module._set_model_mode("train" if training else "eval")
        before = (torch.random.get_rng_state(), np.random.get_state()[1].sum())  # type: ignore[index]
        held_out.measure(module)
        assert torch.equal(torch.random.get_rng_state(), before[0])
        assert np.random.get_state()[1].sum() == before[1]  # type: ignore[index]
        assert [part.training for part in module.model.modules()] == [training] * len(
            [*module.model.modules()]
        )
    # The head gives logits again, and nothing has a gradient.
    assert module.model(torch.zeros(1, 8, dtype=torch.int64)).shape == (1, 8, 384)
    assert all(weight.grad is None for weight in module.model.parameters())


def test_a_compiled_head_gives_the_same_and_stays_compiled(prose: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, held_out = train_module(384), annotated(prose, tmp_path, 64)
    expected, ids = held_out.measure(module), torch.arange(8)[None]
    logits = module.model(ids)
    graphs = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph

    for block in module.model.blocks.values():
        block.compile(backend="eager")
    module.model.lm_head.compile(backend=backend)
    compiled = module.model.lm_head._compiled_call_impl
    torch.testing.assert_close(module.model(ids), logits)
    assert len(graphs) == 1
    for role, values in held_out.measure(module).items():
        assert values == pytest.approx(expected[role], rel=1e-6)
    # Nothing was compiled for it, and nothing is anew for what comes after.
    assert module.model.lm_head._compiled_call_impl is compiled is not None
    torch.testing.assert_close(module.model(ids), logits)
    assert len(graphs) == 1


def test_under_autocast_sums_are_still_whole(prose: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, held_out = train_module(384), annotated(prose, tmp_path, 64)
    expected = held_out.measure(module)
    module.autocast_precision = torch.bfloat16
    measured = held_out.measure(module)
    assert measured != expected
    for role, values in expected.items():
        # bfloat16 has three digits; a sum of 200 values in it would have lost them.
        assert measured[role] == pytest.approx(values, rel=5e-3)


def test_the_head_of_an_error_is_whole_again() -> None:
    head = LMHead(d_model=4, vocab_size=8, bias=False)
    x, labels = torch.randn(2, 3, 4), torch.tensor([[1, 2, 3], [4, 5, 8]])
    with pytest.raises(RuntimeError), scored_head(head, 2):
        head(x, labels=labels)  # there is no token 8
    assert head(x).shape == (2, 3, 8)


def test_olmo_cores_evaluator_still_reads_the_mask_at_the_wrong_place() -> None:
    """Why there is one of our own; when this fails, it has been mended upstream."""
    ids = torch.tensor([[10, 11, 12]])
    batch = {
        "input_ids": ids,
        "label_mask": torch.tensor([[False, False, True]]),
        "metadata": [{"label": "set"}],
    }
    assert get_labels(batch).tolist() == [[-100, 12, -100]]
    evaluator = LMEvaluator(name="lm", batches=[], labels=["set"])
    evaluator.update_metrics(batch, torch.tensor([[0.0, 2.5, 0.0]]), None)
    # The loss of the only target is 2.5.
    assert evaluator.compute_metrics()["set/CE loss"] == 0.0
