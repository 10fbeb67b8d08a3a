"""Where weights moved: by hand, and between two checkpoints of a real run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.moved import Moved, moved_rows, token_kinds, where_moved
from tests.training.conftest import Corpus
from tests.training.test_runs import launch


def test_by_hand() -> None:
    before = {
        "embeddings.weight": torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [9.0, 9.0]]),
        "blocks.0.attention.w_q.weight": torch.tensor([[2.0]]),
        "blocks.1.attention.w_out.weight": torch.tensor([[2.0]]),
        "blocks.0.attention.q_norm.weight": torch.tensor([1.0]),
        "blocks.1.feed_forward_norm.weight": torch.tensor([1.0]),
        "blocks.1.feed_forward.w1.weight": torch.tensor([[4.0]]),
        "lm_head.norm.weight": torch.tensor([1.0]),
        "lm_head.w_out.weight": torch.zeros(4, 2),
    }
    after = {name: weight.clone() for name, weight in before.items()}
    after["embeddings.weight"] += torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])
    after["blocks.1.attention.w_out.weight"] += 2**0.5
    after["lm_head.norm.weight"] += 3
    # The last row is padding of the vocabulary.
    found = moved_rows(before, after, np.array([0, 2, 0], np.uint8))
    assert found == [
        Moved("embedding rows, targets", 2, 4, pytest.approx(6.75**0.5), pytest.approx(5**0.5)),  # type: ignore[arg-type]
        Moved("embedding rows, absent", 1, 2, 0.0, 2.0),
        Moved("attention", None, 2, pytest.approx(1), 2.0),  # type: ignore[arg-type]
        Moved("norms", None, 3, pytest.approx(3**0.5), 1.0),  # type: ignore[arg-type]
        Moved("feed-forward", None, 1, 0.0, 4.0),
        Moved("output rows, targets", 2, 4, 0.0, 0.0),
        Moved("output rows, absent", 1, 2, 0.0, 0.0),
    ]


def test_what_words_are_to_conversations(chat: Corpus) -> None:
    tiny = chat.tokenizer
    control, absent = tiny.control, tiny.encode("Z")[0]
    prompt, answer = tiny.encode("user 5?")[0], tiny.encode("The mat 5.")[0]
    for policy, names in (("anchored", 1), ("unmasked", 0)):
        kinds = token_kinds(chat.tokens, chat.overlay, MaskPolicy(policy))
        assert len(kinds) == tiny.vocab_size
        assert kinds[[answer, prompt, absent]].tolist() == [0, 1, 2]
        assert kinds[[control.open, control.close]].tolist() == [names, names]
    kinds = token_kinds(chat.tokens, None, MaskPolicy.anchored)
    assert kinds[control.open] == 2


@pytest.mark.slow
def test_the_command_shows_what_a_run_moved(chat: Corpus, tmp_path: Path) -> None:
    run = tmp_path / "run"
    freeze = "--model.freeze_params=[embeddings.*]"
    steps = "--trainer.max_duration.value=10"
    assert launch("story_sft_anchored", chat, run, freeze, steps).returncode == 0
    found = where_moved(
        run / "step5", run / "step10", chat.tokens, chat.overlay, MaskPolicy.anchored
    )
    changes = {part.part: part.change for part in found}
    assert changes.pop("embedding rows, targets") == 0
    assert changes.pop("embedding rows, only read") == 0
    assert changes.pop("embedding rows, absent") == 0
    assert min(changes.values()) > 0
    assert {part.parameters for part in found if part.part == "attention"} == {4 * 128**2}

    words = ["moved", str(run / "step5"), str(run), "--tokens", str(chat.tokens)]
    shown = CliRunner().invoke(cli, [*words, "--overlay", str(chat.overlay)])
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.output.splitlines()]
    assert ["embedding", "rows,", "absent"] in [row[:3] for row in rows]
    (attention,) = (row for row in rows if row[0] == "attention")
    assert float(attention[2]) == pytest.approx(changes["attention"], rel=0.01)

    small = launch("story_sft_anchored", chat, tmp_path / "small", "--size", "xs", steps)
    assert small.returncode == 0, small.stderr
    with pytest.raises(InputError, match="different models"):
        where_moved(run, tmp_path / "small", chat.tokens, None, MaskPolicy.anchored)
