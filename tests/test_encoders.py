"""Every encoder gives the ids of ``tokenizers``, or is not taken."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from olmo_anchor import encoders
from olmo_anchor.encoders import (
    SAMPLE,
    Gigatoken,
    TextEncoder,
    Tiktoken,
    Tokenizers,
    Unsupported,
    choose,
)
from olmo_anchor.tokenizer import AnchorTokenizer

CONTROLS = ["<|endoftext|>", "<|extra_id_1|>", "<|extra_id_2|>", "<|im_start|>", "<|pad|>"]
FAST = (Gigatoken, Tiktoken)
PIECES = ["<|", "|>", "\n", "\r\n", " ", "\t", "'s", "'LL", "don't", "The cat", "123", "\u017f"]
SPACES = st.text(alphabet=" \t\n\r\x0b\x0c\x85\u00a0\u2003\u2028\u3000", max_size=8)
TEXTS = st.lists(
    st.one_of(st.sampled_from([*CONTROLS, *PIECES]), SPACES, st.text(max_size=8)), max_size=12
).map(lambda pieces: "".join(pieces).encode("utf-8", "ignore").decode())


def text_only(tokenizer: AnchorTokenizer) -> bytes:
    return Tokenizers(pickle.loads(pickle.dumps(tokenizer))._text.raw).raw


@pytest.fixture(scope="session")
def dolma2_pattern_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE that splits words as dolma2's tokenizer does, trained on the sample."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                Regex(
                    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
                ),
                "removed",
                invert=True,
            ),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*SAMPLE, *PIECES] * 9, trainer)
    tokenizer.add_special_tokens(CONTROLS)
    path = tmp_path_factory.mktemp("pattern") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


class Trio:
    """The reference and the two fast encoders of one tokenizer."""

    def __init__(self, tokenizer: AnchorTokenizer) -> None:
        raw = text_only(tokenizer)
        self.reference = Tokenizers(raw)
        self.fast: list[TextEncoder] = [kind(raw) for kind in FAST]

    def agree(self, text: str) -> None:
        wanted = self.reference.encode(text)
        for encoder in self.fast:
            (ids,) = encoder.encode_batch([text])
            assert (encoder.name, ids.dtype, ids.tolist()) == (encoder.name, np.uint32, wanted)


@pytest.fixture(scope="session")
def trio(tiny: AnchorTokenizer) -> Trio:
    return Trio(tiny)


@pytest.fixture(scope="session")
def pattern_trio(dolma2_pattern_file: Path) -> Trio:
    return Trio(AnchorTokenizer.load(dolma2_pattern_file))


@pytest.fixture(scope="session")
def dolma2_trio(dolma2: AnchorTokenizer) -> Trio:
    return Trio(dolma2)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_ids_of_a_gpt2_tokenizer(trio: Trio, text: str) -> None:
    trio.agree(text)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_ids_of_a_tokenizer_with_a_pattern(pattern_trio: Trio, text: str) -> None:
    pattern_trio.agree(text)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_ids_of_dolma2(dolma2_trio: Trio, text: str) -> None:
    dolma2_trio.agree(text)


LONG = ["a" * 200_000, " " * 700_000, "\n" * 200_000, "^" * 200_000, " \n" * 100_000, "東" * 90_000]


@pytest.mark.slow
@pytest.mark.parametrize("text", LONG, ids=lambda text: repr(text[:2]))
def test_long_runs_of_one_character(dolma2_trio: Trio, text: str) -> None:
    dolma2_trio.agree(f"The cat {text} sat.")


# --- which one is taken --------------------------------------------------------------------------


def test_the_fastest_is_taken_and_goes_along_to_other_processes(
    dolma2_pattern_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AnchorTokenizer.load(dolma2_pattern_file)
    plain = tokenizer.encode("The cat <|endoftext|>\r\n")
    assert tokenizer.text_encoder.name == "tokenizers"
    tokenizer.speed_up(100)
    assert tokenizer.text_encoder.name == "tokenizers", "little is not worth the start"
    tokenizer.speed_up()
    for one in (tokenizer, pickle.loads(pickle.dumps(tokenizer))):
        assert one.text_encoder.name == "gigatoken"
        assert one.encode("The cat <|endoftext|>\r\n") == plain
    assert capfd.readouterr() == ("", "")


def test_without_gigatoken_tiktoken_and_without_both_tokenizers(
    dolma2_pattern_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AnchorTokenizer.load(dolma2_pattern_file)
    for absent, taken in (("gigatoken", "tiktoken"), ("tiktoken", "tokenizers")):
        monkeypatch.setitem(sys.modules, absent, None)
        tokenizer.speed_up()
        assert tokenizer.text_encoder.name == taken
    assert capfd.readouterr() == ("", "")


def test_one_that_disagrees_is_told_and_the_next_is_taken(
    dolma2_pattern_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # With the added tokens still in it, a text gives control tokens: the fault of rule 1.
    tokenizer = AnchorTokenizer.load(dolma2_pattern_file)
    raw = dolma2_pattern_file.read_bytes()

    class Naive(Gigatoken):
        def __init__(self, _: bytes) -> None:
            super().__init__(raw)

    monkeypatch.setattr(encoders, "Gigatoken", Naive)
    chosen = choose(Tokenizers(text_only(tokenizer)), CONTROLS)
    assert chosen.name == "tiktoken"
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("gigatoken 0.")
    assert line.endswith("gives other ids than tokenizers for this tokenizer: it is not used")


def changed(raw: bytes, **fields: Any) -> bytes:
    return orjson.dumps({**orjson.loads(raw), **fields})


def test_a_tokenizer_that_tiktoken_cannot_be_is_left_to_others_without_a_word(
    tiny: AnchorTokenizer, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = text_only(tiny)
    stored = orjson.loads(raw)
    merges = stored["model"]["merges"]
    last_first = {**stored["model"], "merges": [merges[-1], *merges[:-1]]}
    words = Tokenizer(models.WordLevel({"<unk>": 0, "cat": 1, ":": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    for odd in (
        changed(raw, normalizer={"type": "NFC"}),
        changed(raw, pre_tokenizer={"type": "Whitespace"}),
        changed(raw, pre_tokenizer={**stored["pre_tokenizer"], "add_prefix_space": True}),
        changed(raw, model=last_first),
        words.to_str().encode(),
    ):
        with pytest.raises(Unsupported):
            Tiktoken(odd)
        reference = Tokenizers(odd)
        chosen = choose(reference, [])
        text = "The cat sat on\r\n\r\nthe mat."
        assert chosen.encode_batch([text])[0].tolist() == reference.encode(text)
    assert "tiktoken" not in capfd.readouterr().err


def test_a_normalizer_is_heeded(dolma2_pattern_file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(dolma2_pattern_file))
    tokenizer.normalizer = normalizers.NFC()
    raw = changed(tokenizer.to_str().encode(), added_tokens=[])
    text = "cafe\u0301"
    assert (
        choose(Tokenizers(raw), []).encode_batch([text])[0].tolist() == tokenizer.encode(text).ids
    )


GROW = """
import random, re, sys
from pathlib import Path
from olmo_anchor.tokenizer import AnchorTokenizer
tokenizer = AnchorTokenizer.load(Path(sys.argv[1]))
tokenizer.speed_up()
assert tokenizer.text_encoder.name == "gigatoken"
rng = random.Random(0)
for _ in range(250):
    words = ("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(10_000))
    tokenizer.text_encoder.encode_batch([" ".join(words)])
status = Path("/proc/self/status").read_text()  # ru_maxrss is also of what this was forked from
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_words_of_a_corpus(shared_data: Path) -> None:
    # gigatoken remembers all words that it has seen: with these the process would have 400 MB.
    file = shared_data / "tokenizer" / "allenai_dolma2.json"
    done = subprocess.run(
        [sys.executable, "-c", GROW, str(file)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 350


def test_random_bytes_as_latin1(trio: Trio, pattern_trio: Trio) -> None:
    rng = random.Random(7)
    for _ in range(50):
        text = rng.randbytes(200).decode("latin-1")
        trio.agree(text)
        pattern_trio.agree(text)
