"""Fixtures that any test may want."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Models are tiny, and threads that find no free core wait for each other: on a busy machine one
# test took 190 s instead of 7. Before anything imports torch, and for the processes of the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from olmo_anchor.tokenizer import AnchorTokenizer

REPOSITORY = Path(__file__).parent.parent
SHARED = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that lies beside the checkout on machines that have it; not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data beside this checkout: real corpora and tokenizers are there")
    return SHARED


@pytest.fixture(scope="session")
def dolma2(shared_data: Path) -> AnchorTokenizer:
    """The real OLMo-2 tokenizer."""
    return AnchorTokenizer.load(shared_data / "tokenizer" / "allenai_dolma2.json")


@pytest.fixture(scope="session")
def tiny_tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE with dolma2's control tokens, trained on a few sentences: 400 tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=386,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        ["The cat sat on the mat.\n\nThe dog ran to the cat: topic, name, user, assistant."] * 9,
        trainer,
    )
    tokenizer.add_tokens(
        [
            AddedToken(name, special=not name.startswith("<|extra_id"), normalized=False)
            for name in (
                "<|endoftext|>",
                "<|pad|>",
                "<|im_start|>",
                "<|im_end|>",
                "<|extra_id_1|>",
                "<|extra_id_2|>",
            )
        ]
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def tiny(tiny_tokenizer_file: Path) -> AnchorTokenizer:
    return AnchorTokenizer.load(tiny_tokenizer_file)
