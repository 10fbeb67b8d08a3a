from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from olmo_anchor.engines import Sampling, derive_seed, open_engine
from olmo_anchor.errors import InputError


def test_a_seed_depends_on_every_part_and_stays_what_it_was() -> None:
    assert derive_seed(0, "story", 3) == 4453137161861238
    seeds = {
        derive_seed(*parts)
        for parts in [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1), (0, "a1"), (0, "a", 1, 0)]
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**53 for seed in seeds)


@pytest.mark.parametrize(
    "options", [{"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_tokens": 0}]
)
def test_sampling_refuses_what_means_nothing(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Sampling(**options)  # type: ignore[arg-type]


def test_a_folder_without_a_model_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="olmo-anchor export"):
        open_engine("hf", tmp_path)


def test_an_unknown_engine_lists_the_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="hf, vllm"):
        open_engine("llama", tmp_path)


def test_a_folder_that_transformers_cannot_load_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="cannot load") as caught:
        open_engine("hf", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vllm is installed here")
def test_a_missing_vllm_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="pip install"):
        open_engine("vllm", tmp_path)
