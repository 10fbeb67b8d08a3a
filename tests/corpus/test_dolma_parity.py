"""The same ids as ``dolma tokens``, which pins older numpy and tokenizers: it runs elsewhere.

``make test-dolma`` makes an environment for it and runs this.
"""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from olmo_anchor.corpus.tokenize import TokenizeConfig

DOLMA_PYTHON = os.environ.get("OLMO_ANCHOR_DOLMA_PYTHON")


def by_id(folder: Path) -> dict[str, list[int]]:
    """The ids of every document; dolma shuffles documents."""
    found = {}
    for table in folder.rglob("*.csv.gz"):
        part = table.with_name(table.name.removesuffix(".csv.gz") + ".npy")
        ids = np.memmap(part, np.dtype("<u4"), mode="r")
        with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
            for start, end, name, *_ in csv.reader(file):
                found[name] = ids[int(start) : int(end)].tolist()
    return found


@pytest.mark.slow
@pytest.mark.skipif(DOLMA_PYTHON is None, reason="run it with: make test-dolma")
def test_same_ids_as_dolma(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "corpus" / "books.jsonl"
    tokenizer = shared_data / "tokenizer" / "allenai_dolma2.json"
    documents = tmp_path / "documents" / "books.jsonl.gz"
    documents.parent.mkdir()
    documents.write_bytes(gzip.compress(source.read_bytes(), 1))
    assert DOLMA_PYTHON is not None
    subprocess.run(
        [
            *(str(Path(DOLMA_PYTHON).with_name("dolma")), "tokens"),
            *("--documents", str(documents), "--destination", str(tmp_path / "dolma")),
            *("--tokenizer.name_or_path", str(tokenizer), "--dtype", "uint32"),
            *("--tokenizer.eos_token_id", "100257", "--tokenizer.pad_token_id", "100277"),
            *("--tokenizer.encode_special_tokens", "--processes", "1"),
        ],
        check=True,
        timeout=600,
    )
    out = tmp_path / "ours"
    TokenizeConfig((documents,), str(tokenizer), out).run()
    ours, theirs = by_id(out), by_id(tmp_path / "dolma")
    assert len(ours) > 1000
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
