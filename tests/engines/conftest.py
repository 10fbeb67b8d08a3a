from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import save_random_model

from olmo_anchor.tokenizer import AnchorTokenizer


@pytest.fixture(scope="session")
def random_model(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("random-model"), tiny, context=256)


@pytest.fixture(scope="session")
def prompts() -> list[list[int]]:
    """Twelve prompts of five lengths."""
    return [[(7 * row + 3 * at) % 300 for at in range(2 + row % 5)] for row in range(12)]
