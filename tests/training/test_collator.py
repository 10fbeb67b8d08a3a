"""The collator: masks through the real loader, in any packing and order; and what it refuses."""

from __future__ import annotations

import multiprocessing
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from olmo_core.data import TokenizerConfig
from olmo_core.data.collator import PaddingDirection
from olmo_core.data.composable import ComposableDataLoaderConfig, PackingInstanceSourceConfig

from olmo_anchor.annotation import Annotation, Tag
from olmo_anchor.cli import cli
from olmo_anchor.errors import WorkFailed
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.spans import DELIMITER, KEY, TEXT, VALUE, ControlIds
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.collator import AnchorCollator, AnchorCollatorConfig
from olmo_anchor.training.instances import PaddedInstanceSourceConfig
from olmo_anchor.training.source import InterleavedDocumentSourceConfig
from tests.training.conftest import Corpus

OPEN, CLOSE, COLON, NEWLINE, END, PAD = 1, 2, 3, 4, 5, 6
CONTROL = ControlIds(open=OPEN, close=CLOSE, colon=COLON, newline=NEWLINE, end_of_text=END)

# user user <open> topic : cat <close> text <end>, and a short one without an annotation
ROW = [20, 21, OPEN, 10, COLON, 11, CLOSE, 22, END]
MASK = [False, False, True, True, True, True, True, True, True]
SHORT = {"input_ids": torch.tensor([20, 22, END]), "label_mask": torch.tensor([False, True, True])}
LONG = {"input_ids": torch.tensor(ROW), "label_mask": torch.tensor(MASK)}


def collator(policy: str, **options: Any) -> AnchorCollator:
    return AnchorCollator(pad_token_id=PAD, control=CONTROL, policy=MaskPolicy(policy), **options)


@pytest.mark.parametrize(
    ("policy", "fraction", "expected"),
    [
        ("full", 0.0, [0, 0, 1, 1, 1, 1, 1, 1, 1]),
        ("unmasked", 0.0, [0, 0, 1, 1, 1, 1, 1, 1, 1]),
        ("anchored", 0.0, [0, 0, 0, 0, 0, 0, 0, 1, 1]),
        ("anchored", 1.0, [0, 0, 1, 1, 1, 0, 1, 1, 1]),
        ("annotation_only", 0.0, [0, 0, 1, 1, 1, 1, 1, 0, 0]),
    ],
)
def test_policies_by_hand(policy: str, fraction: float, expected: list[int]) -> None:
    batch = collator(policy, value_only_fraction=fraction)([LONG, SHORT])
    mask = batch["label_mask"].int().tolist()
    assert mask[0] == expected
    plain = [0, 1, 1, 0, 0, 0, 0, 0, 0] if policy != "annotation_only" else [0] * 9
    assert mask[1] == plain
    assert batch["input_ids"][1].tolist() == [20, 22, END, *[PAD] * 6]


def test_the_opening_delimiter_on_request() -> None:
    config = AnchorCollatorConfig(MaskPolicy.anchored, value_only_fraction=0.0, train_opening=True)
    config.set_control(CONTROL)
    batch = config.build(pad_token_id=PAD, vocab_size=64)([LONG, SHORT])
    assert batch["label_mask"].int().tolist() == [
        [0, 0, 1, 0, 0, 0, 0, 1, 1],
        [0, 1, 1, 0, 0, 0, 0, 0, 0],
    ]


def test_a_value_that_the_prompt_names_is_trained_by_anchored_given(tiny: AnchorTokenizer) -> None:
    config = AnchorCollatorConfig(MaskPolicy.anchored_given, value_only_fraction=0.0)
    config.set_control(tiny.control)
    options = {"pad_token_id": tiny.pad_id, "vocab_size": 512}
    with pytest.raises(ValueError, match=r"needs pieces=tokenizer\.pieces\(\)"):
        config.build(**options)
    prompt, reply = tiny.encode("The Cat?\n"), [*tiny.encode("Once."), tiny.control.end_of_text]
    note = tiny.encode_annotation(Annotation((Tag("topic", "cat"), Tag("name", "dog"))))
    ids = torch.tensor([*prompt, *note, *reply])
    mask = torch.arange(len(ids)) >= len(prompt)
    (trained,) = config.build(**options, tokenizer=tiny)([{"input_ids": ids, "label_mask": mask}])[
        "label_mask"
    ]
    begin = len(prompt) + len(tiny.encode("topic")) + 2
    expected = [*range(begin, begin + len(tiny.encode("cat")))]
    expected += range(len(ids) - len(reply), len(ids))
    assert trained.nonzero().flatten().tolist() == expected


def test_role_ids_on_request() -> None:
    batch = collator("full", emit_role_ids=True)([LONG])
    d, k, v, t = DELIMITER, KEY, VALUE, TEXT
    assert batch["role_ids"].tolist() == [[t, t, d, k, k, v, d, t, t]]
    assert batch["role_ids"].dtype == torch.uint8
    assert "role_ids" not in collator("full")([LONG])


def test_a_batch_without_a_target_is_an_error_that_names_the_instances() -> None:
    untrained = {
        "input_ids": torch.tensor([60, 61, END]),
        # The first token of a row is never a target.
        "label_mask": torch.tensor([True, False, False]),
        "index": 17,
        "metadata": {"source": "tulu"},
    }
    with pytest.raises(WorkFailed, match="instances 17, 17 of tulu"):
        collator("full")([untrained, untrained])
    with pytest.raises(WorkFailed, match=r"annotation_only: no token .* rows row 0"):
        collator("annotation_only")([SHORT])
    batch = collator("full", require_targets=False)([untrained])
    assert batch["label_mask"].tolist() == [[True, False, False]]


def test_rows_that_begin_inside_an_annotation_are_refused() -> None:
    torn = {"input_ids": torch.tensor([11, CLOSE, 22, END])}
    with pytest.raises(ValueError, match="begin at a document; rows row 0"):
        collator("anchored")([torn])
    closing = {"input_ids": torch.tensor([CLOSE, 22, END])}
    with pytest.raises(ValueError, match="rows row 1, row 2 begins inside"):
        collator("anchored")([LONG, torn, closing])
    assert collator("full")([torn])["label_mask"].all()
    with pytest.raises(ValueError, match="padding on the right"):
        collator("anchored", pad_direction=PaddingDirection.left)


# --- through OLMo-core's loader ------------------------------------------------------------------


def loader(
    corpus: Corpus, work: Path, *, packed: bool = False, seed: int = 0, **options: Any
) -> Any:
    tokenizer = TokenizerConfig(
        vocab_size=corpus.tokenizer.vocab_size,
        eos_token_id=corpus.tokenizer.control.end_of_text,
        pad_token_id=corpus.tokenizer.pad_id,
    )
    sources = [InterleavedDocumentSourceConfig(str(corpus.tokens), str(corpus.overlay))]
    kind = PackingInstanceSourceConfig if packed else PaddedInstanceSourceConfig
    length = options.pop("length", 128)
    dataset = kind(sources=sources, sequence_length=length, tokenizer=tokenizer).build(work)  # type: ignore[arg-type]
    config = AnchorCollatorConfig(MaskPolicy.anchored, value_only_fraction=0.3)
    config.set_control(corpus.tokenizer.control)
    return ComposableDataLoaderConfig(
        tokenizer=tokenizer,
        global_batch_size=4 * length,
        seed=seed,
        work_dir=str(work),
        display_source_visualization=False,
        **options,
    ).build(
        dataset,
        collator=config.build(pad_token_id=tokenizer.pad_token_id, vocab_size=512),
    )


def test_a_batch_without_a_target_names_the_documents_and_how_to_look_at_them(
    prose: Corpus, tmp_path: Path
) -> None:
    tokenizer = TokenizerConfig(
        vocab_size=prose.tokenizer.vocab_size,
        eos_token_id=prose.tokenizer.control.end_of_text,
        pad_token_id=prose.tokenizer.pad_id,
    )
    source = InterleavedDocumentSourceConfig(
        str(prose.tokens), str(prose.overlay), annotations=False
    )
    dataset = PaddedInstanceSourceConfig([source], 128, tokenizer).build(tmp_path)
    config = AnchorCollatorConfig(MaskPolicy.annotation_only)
    config.set_control(prose.tokenizer.control)
    collate = config.build(pad_token_id=tokenizer.pad_token_id, vocab_size=512)
    collate.locate = dataset.locate
    data = ComposableDataLoaderConfig(
        tokenizer=tokenizer,
        global_batch_size=10 * 128,
        seed=0,
        work_dir=str(tmp_path),
        num_threads=0,
        shuffle=False,
        display_source_visualization=False,
    ).build(dataset, collator=collate)
    data.reshuffle(1)
    with pytest.raises(WorkFailed) as failed:
        next(iter(data))
    said = str(failed.value)
    command = re.search(r"documents 0, 1, 2, 3, 4, 5, 6, 7 \(see `(.*)`\) and 2 more", said)
    assert command is not None
    shown = CliRunner().invoke(cli, shlex.split(command[1])[1:])
    assert shown.exit_code == 0, shown.output
    assert "document 7" in shown.output
    # In the second file documents are counted on.
    assert re.fullmatch(
        r"documents 99, 107 \(see `.* --doc 99 --doc 107`\)", dataset.locate([99, 107])
    )


def documents_of(batches: Any, end_of_text: int, pad: int) -> dict[tuple[int, ...], list[bool]]:
    """The mask of each document, wherever in a row it lies."""
    found = {}
    for batch in batches:
        for ids, mask in zip(batch["input_ids"].numpy(), batch["label_mask"].numpy(), strict=True):
            begin = 0
            for end in np.flatnonzero(ids == end_of_text) + 1:
                if ids[begin] != pad:
                    found[tuple(ids[begin:end].tolist())] = mask[begin:end].tolist()
                begin = end
    return found


def test_masks_are_the_same_in_any_packing_order_and_length(chat: Corpus, tmp_path: Path) -> None:
    found = []
    for number, options in enumerate(
        [{}, {"seed": 1}, {"packed": True, "length": 256}, {"packed": True, "length": 512}]
    ):
        data = loader(chat, tmp_path / str(number), num_threads=0, **options)
        data.reshuffle(1)
        control = chat.tokenizer.control
        found.append(documents_of(data, control.end_of_text, chat.tokenizer.pad_id))
    whole = found[0]
    assert len(whole) == 64
    for other in found[1:]:
        # The loader leaves out what does not fill a batch.
        assert len(other) > 20
        assert other.items() <= whole.items()
    # Both kinds of documents are among them.
    first_trained = [np.argmax(mask) for mask in whole.values()]
    opens = [ids.index(chat.tokenizer.control.open) for ids in whole]
    value_only = sum(a == b for a, b in zip(first_trained, opens, strict=True))
    assert 8 < value_only < 32


def test_truncation_leaves_the_masks_of_what_is_left(chat: Corpus, tmp_path: Path) -> None:
    masks = {}
    for length in (128, 32):
        data = loader(chat, tmp_path / str(length), length=length, num_threads=0, shuffle=False)
        data.reshuffle(1)
        masks[length] = torch.cat([batch["label_mask"][:, :32] for batch in data])
    assert torch.equal(masks[128], masks[32])


@pytest.mark.slow
def test_spawned_workers_give_the_same_batches(chat: Corpus, tmp_path: Path) -> None:
    method = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)  # as OLMo-core does
    try:
        batches = []
        for workers in (0, 2):
            data = loader(chat, tmp_path, num_workers=workers, num_threads=0)
            data.reshuffle(1)
            batches.append(list(data))
    finally:
        multiprocessing.set_start_method(method, force=True)
    assert len(batches[0]) == 16
    for one, other in zip(*batches, strict=True):
        for key in ("input_ids", "label_mask", "index"):
            assert torch.equal(one[key], other[key])
