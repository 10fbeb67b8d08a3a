"""What may not change when a run goes on is named as it is set."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.anchor_state import anchor_state
from olmo_anchor.training.callbacks import AnchorStateCallback
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs
from tests.training.conftest import Corpus
from tests.training.folders import write_overlay, write_tokens
from tests.training.launching import RECIPES


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(RECIPES)


def experiment(corpus: Corpus, name: str, *overrides: str) -> AnchoredExperimentConfig:
    inputs = Inputs(str(corpus.tokens), str(corpus.overlay), "runs/x")
    built: AnchoredExperimentConfig = importlib.import_module(name).build(inputs)
    return built.merge(list(overrides))


def said(before: AnchoredExperimentConfig, after: AnchoredExperimentConfig) -> list[str]:
    """The changes that the refusal names."""
    saved = AnchorStateCallback(anchor_state(before, "a")).state_dict()
    callback = AnchorStateCallback(anchor_state(after, "b"))
    callback.trainer = SimpleNamespace(save_folder="runs/x")  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"^the run in runs/x cannot go on") as refused:
        callback.load_state_dict(saved)
    return str(refused.value).partition("model: ")[2].partition(". Undo")[0].split("; ")


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("--collator.policy=anchored", "policy was 'full', now 'anchored'"),
        ("--collator.value_only_fraction=0.5", "value_only_fraction was 0.003, now 0.5"),
        ("--collator.train_opening=true", "train_opening was None, now True"),
        ("--collator.seed=3", "collator seed was 0, now 3"),
        ("--dataset.sequence_length=96", "dataset.sequence_length was 192, now 96"),
        ("--dataset.max_tokens=9000", "dataset.max_tokens was 2000000, now 9000"),
        (
            "--dataset.sources.0.annotations=false",
            "dataset.sources.0.annotations was True, now False",
        ),
        ("--data_loader.seed=4", "data_loader.seed was 0, now 4"),
        (
            "--data_loader.global_batch_size=768",
            "data_loader.global_batch_size was 1536, now 768",
        ),
        # Without this a model with fewer layers would load those that it has.
        ("--model.n_layers=2", "model.n_layers was 3, now 2"),
    ],
)
def test_a_setting_is_named(override: str, change: str, prose: Corpus) -> None:
    name = "story_base_annotated"
    assert change in said(experiment(prose, name), experiment(prose, name, override))


@pytest.mark.parametrize(
    "override",
    [
        "--train_module.optim.lr=1e-4",
        "--train_module.rank_microbatch_size=192",
        "--trainer.max_duration.value=3",
        "--data_loader.num_workers=2",
        "--dataset.sources.0.verify=true",
        "--dataset.sources.0.max_unannotated=0.5",
        "--model.block.sequence_mixer.backend=flash_2",
    ],
)
def test_what_may_change(override: str, prose: Corpus) -> None:
    name = "story_base_annotated"
    one, two = (experiment(prose, name, *words) for words in ((), (override,)))
    assert anchor_state(one, "a") == anchor_state(two, "a")


def test_folders_are_known_by_what_they_hold(
    prose: Corpus, tiny_tokenizer_file: Path, tmp_path: Path
) -> None:
    name, tiny = "story_base_annotated", prose.tokenizer
    before = experiment(prose, name)

    def corpus(folder: str, tokenizer: AnchorTokenizer, documents: int, notes: int) -> Corpus:
        parts = [part[:documents] for part in prose.documents]
        lengths = [sum(map(len, part)) for part in parts]
        laid = [
            {start: ids for start, ids in [*part.items()][:notes] if start < length}
            for part, length in zip(prose.annotations, lengths, strict=True)
        ]
        tokens = write_tokens(tmp_path / folder / "tokens", parts, tokenizer)
        overlay = write_overlay(tmp_path / folder / "overlay", tokens, parts, laid, tokenizer)
        return Corpus(tokens, overlay, parts, laid, tokenizer)

    moved = corpus("moved", tiny, 100, 999)
    assert anchor_state(before, "a") == anchor_state(experiment(moved, name), "a")

    (overlay,) = said(before, experiment(corpus("fewer", tiny, 100, 20), name))
    assert overlay.startswith("overlay of source 0 was '")
    both = said(before, experiment(corpus("shorter", tiny, 90, 999), name))
    assert [change.partition(" was")[0] for change in both] == [
        *("overlay of source 0", "tokens of source 0")
    ]
    delimiters = ("<|extra_id_2|>", "<|extra_id_1|>")
    other = AnchorTokenizer.load(tiny_tokenizer_file, delimiters=delimiters)
    (swapped,) = said(before, experiment(corpus("swapped", other, 100, 999), name))
    assert swapped.startswith("control ids was {'open': 299, 'close': 300, ")
    assert "now {'open': 300, 'close': 299, " in swapped
    spaced = tmp_path / "tokenizer.json"
    spaced.write_bytes(tiny_tokenizer_file.read_bytes() + b"\n")
    other = AnchorTokenizer.load(spaced)
    (another,) = said(before, experiment(corpus("spaced", other, 100, 999), name))
    assert another.startswith(f"tokenizer was '{tiny.hash[:12]}', now '")


def test_the_standard_arm_of_a_corpus_does_not_look_at_the_overlay(
    prose: Corpus, chat: Corpus, patchy_chat: Corpus
) -> None:
    state = anchor_state(experiment(prose, "story_base_standard"), "a")
    assert state["overlay of source 0"] is None
    # But where annotations stand decides which conversations both arms train.
    train = "--dataset.sources.0.unannotated=train"
    one, two = (experiment(corpus, "story_sft_standard", train) for corpus in (chat, patchy_chat))
    assert anchor_state(one, "a") == anchor_state(two, "a")
    one, two = (experiment(corpus, "story_sft_standard") for corpus in (chat, patchy_chat))
    (overlay,) = said(one, two)
    assert overlay.startswith("overlay of source 0 was '")
