"""A mixture file gives OLMo-core's mixing source: the shares are right and arms are matched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from olmo_core.data import TokenizerConfig
from olmo_core.data.composable import ComposableDataLoaderConfig, MixingInstanceSource

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import read_manifest
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.mixture import Mixture
from tests.training.folders import write_overlay, write_tokens

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "data_prep" / "pretraining_mixture.yaml"
LENGTH = 16
# A token that tells the corpus.
CAT, DOG = 10, 20


@pytest.fixture
def corpora(tiny: AnchorTokenizer, tmp_path: Path) -> Path:
    """Two corpora of 6,000 and 3,000 tokens; cats are annotated four times as densely as dogs."""
    end, open_, close = tiny.control.end_of_text, tiny.control.open, tiny.control.close
    for name, token, documents, every in (("cats", CAT, 600, 1), ("dogs", DOG, 300, 4)):
        written = [[token] * 9 + [end] for _ in range(documents)]
        laid = {at * 10: [open_, token + 1, close] for at in range(0, documents, every)}
        tokens = write_tokens(tmp_path / name / "tokens", [written], tiny)
        write_overlay(tmp_path / name / "overlay", tokens, [written], [laid], tiny)
    return tmp_path


def mixture(folder: Path, text: str) -> Path:
    path = folder / "mixture.yaml"
    path.write_text(text)
    return path


THREE_TO_ONE = "tokens: 3200\nsources:\n  cats: {share: 0.75, from: ours}\n  dogs: {share: 0.25}\n"


def build(path: Path, root: Path, *, annotations: bool, seed: int = 0) -> MixingInstanceSource:
    loaded = Mixture.load(path, root)
    config = loaded.config(sequence_length=LENGTH, annotations=annotations, seed=seed)
    return config.build(root / "work")


def drawn(source: MixingInstanceSource, tiny: AnchorTokenizer) -> Counter[str]:
    """Tokens by corpus, and how many of them are of annotations."""
    count: Counter[str] = Counter()
    for k in range(len(source)):
        ids = np.asarray(source[k]["input_ids"])
        name = "cats" if np.isin(ids, (CAT, CAT + 1)).any() else "dogs"
        assert not (name == "cats" and np.isin(ids, (DOG, DOG + 1)).any()), "one corpus each"
        count[name] += len(ids)
        count[f"{name} delimiters"] += int(np.isin(ids, tiny.control.open).sum())
    return count


def test_both_arms_draw_the_tokens_that_are_asked_for(tiny: AnchorTokenizer, corpora: Path) -> None:
    path = mixture(corpora, THREE_TO_ONE)
    standard = drawn(build(path, corpora, annotations=False), tiny)
    annotated = drawn(build(path, corpora, annotations=True), tiny)
    for arm in (standard, annotated):
        assert (arm["cats"], arm["dogs"]) == (2400, 800)
    assert standard["cats delimiters"] == standard["dogs delimiters"] == 0
    assert annotated["cats delimiters"] > 6 * annotated["dogs delimiters"] > 0


def test_tokens_of_each_source_instead_of_shares(tiny: AnchorTokenizer, corpora: Path) -> None:
    path = mixture(corpora, "sources:\n  cats: {tokens: 8.0e+2}\n  dogs: {tokens: 1600}\n")
    arm = drawn(build(path, corpora, annotations=True), tiny)
    assert (arm["cats"], arm["dogs"]) == (800, 1600)


def test_a_small_corpus_may_be_seen_again(tiny: AnchorTokenizer, corpora: Path) -> None:
    again = "tokens: 8000\nsources:\n  cats: {share: 0.5}\n  dogs: {share: 0.5, repeat: 2}\n"
    arm = drawn(build(mixture(corpora, again), corpora, annotations=False), tiny)
    assert (arm["cats"], arm["dogs"]) == (4000, 4000)


def test_an_arm_that_alone_would_run_out_is_refused_in_both(corpora: Path) -> None:
    # With annotations there are 3,225 tokens of dogs, without 3,000.
    path = mixture(corpora, THREE_TO_ONE.replace("0.75", "0.2").replace("0.25", "0.8"))
    path.write_text(path.read_text().replace("3200", "3900"))
    for arm in (True, False):
        with pytest.raises(InputError, match=r"dogs/tokens: 2,992 tokens, and 80\.0% of 3,900"):
            build(path, corpora, annotations=arm)


def test_the_loader_gives_every_token_once(tiny: AnchorTokenizer, corpora: Path) -> None:
    tokenizer = TokenizerConfig(tiny.vocab_size, tiny.control.end_of_text, tiny.pad_id)
    config = ComposableDataLoaderConfig(
        tokenizer, global_batch_size=4 * LENGTH, work_dir=str(corpora / "work"), num_threads=0
    )
    loader = config.build(build(mixture(corpora, THREE_TO_ONE), corpora, annotations=True))
    loader.reshuffle(epoch=1)
    assert sum(batch["input_ids"].numel() for batch in loader) == 3200


@pytest.mark.slow
def test_the_fingerprint_is_that_of_the_data(corpora: Path) -> None:
    path = mixture(corpora, THREE_TO_ONE)

    def fingerprint(**options: int) -> str:
        arm = {"annotations": True, **options}
        return build(path, corpora, **arm).fingerprint  # type: ignore[arg-type]

    first = fingerprint()
    assert fingerprint(annotations=False) != first != fingerprint(seed=1)
    script = (
        "import sys; from pathlib import Path; from olmo_anchor.training.mixture import Mixture; "
        "m = Mixture.load(Path(sys.argv[1]), Path(sys.argv[2])); "
        "c = m.config(sequence_length=16, annotations=True); "
        "print(c.build(sys.argv[2] + '/work').fingerprint)"
    )
    command = [sys.executable, "-c", script, str(path), str(corpora)]
    other = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert other.stdout.split()[-1] == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: {}", "a mixture has `sources`"),
        ("- 1", "a mixture has `sources`"),
        ("sources: {cats: {ratio: 1}}", "cats: a source has"),
        ("sources: {cats: {share: 1}, dogs: {tokens: 5}}", "every source has a `share`, or"),
        ("sources: {cats: {share: 0.5}, dogs: {share: 0.4}}", r"the shares sum to 0\.9000"),
        ("sources: {cats: {share: 1.0}}", "`tokens` of the run are missing"),
        ("sources: {cats: {share: 0}, dogs: {share: 1}}", "a `share` is more than 0"),
        ("sources: {cats: {share: many}}", "mixture.yaml: could not convert"),
        ("sources: [", "cannot be read as YAML"),
    ],
)
def test_wrong_files(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        Mixture.load(mixture(tmp_path, text), tmp_path)


def test_a_corpus_that_is_not_prepared_is_named(corpora: Path) -> None:
    path = mixture(corpora, THREE_TO_ONE.replace("dogs", "birds"))
    with pytest.raises(InputError, match="birds/tokens"):
        build(path, corpora, annotations=False)


def test_the_mixture_that_is_shipped() -> None:
    """The paper's nine, each with a YAML that prepares it, each number with whose it is."""
    loaded = Mixture.load(SHIPPED)
    assert [source.name for source in loaded.sources] == [
        *("dclm", "tulu_flan", "wikipedia", "pes2o", "reddit"),
        *("cc_news", "openwebmath", "books", "wikiref"),
    ]
    assert loaded.tokens == 12_000_000_000
    assert loaded.sources[0].tokens == Path("data/dclm/tokens")
    stored = yaml.safe_load(SHIPPED.read_text())["sources"]
    for source in loaded.sources:
        assert stored[source.name]["from"].split(":")[0] in ("paper", "ours")
        corpus = yaml.safe_load((SHIPPED.parent / f"{source.name}.yaml").read_text())
        # Up to the paper's largest run no document is needed twice.
        assert corpus["size"]["tokens"] > source.share * 50e9, source.name


# --- in a recipe --------------------------------------------------------------------------------


def recipe(name: str, corpora: Path, *words: str, code: int = 0) -> str:
    """The recipe on the mixture of cats and dogs; what it said."""
    path = mixture(corpora, f"root: {corpora}\n{THREE_TO_ONE}")
    command = [sys.executable, f"train_configs/{name}.py", "--tokens", str(path)]
    small = ["--dataset.num_tokens=3200", "--trainer.max_duration.value=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *small, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


SHORT = (
    *(f"--dataset.source_specs.{k}.source.sequence_length={LENGTH}" for k in (0, 1)),
    f"--train_module.max_sequence_length={LENGTH}",
    f"--train_module.rank_microbatch_size={4 * LENGTH}",
    f"--data_loader.global_batch_size={4 * LENGTH}",
)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["standard", "annotated"])
def test_both_arms_train_on_a_mixture_and_go_on(arm: str, corpora: Path) -> None:
    name, run = f"small_base_{arm}", corpora / "run"
    assert "50 steps an epoch" in recipe(name, corpora, *SHORT, "--dry-run")
    words = ("--save-folder", str(run), "--trainer.callbacks.checkpointer.save_interval=1")
    recipe(name, corpora, *SHORT, *words, "--trainer.hard_stop={value: 1, unit: steps}")
    assert "finished, 2 steps" in recipe(name, corpora, *SHORT, *words)
    inputs = [record["path"] for record in read_manifest(run).inputs]
    for folder in ("cats/tokens", "cats/overlay", "dogs/tokens", "dogs/overlay"):
        assert any(folder in path for path in inputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("small_base_annotated", ("--collator.policy=anchored",), "masks by role, which needs"),
        ("small_base_annotated", ("--overlay", "x"), "each source of a mixture brings its own"),
        ("small_sft_standard", (), "this recipe takes one TOKENS_DIR, no mixture"),
    ],
)
def test_what_a_recipe_refuses(name: str, words: tuple[str, ...], said: str, corpora: Path) -> None:
    assert said in recipe(name, corpora, *words, "--dry-run", code=2)
