from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import save_bigram_model, story_transitions

from olmo_anchor.tokenizer import AnchorTokenizer


@pytest.fixture(scope="session")
def story_model(tiny: AnchorTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotates three stories in four; one annotation in ten never closes."""
    folder = tmp_path_factory.mktemp("stories")
    return save_bigram_model(folder, tiny, story_transitions(tiny))
