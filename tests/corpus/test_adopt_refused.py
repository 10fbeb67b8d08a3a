"""What adopt refuses, as it is typed: token files, masks and calls that are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from olmo_anchor.tokenizer import AnchorTokenizer
from tests.corpus.foreign import write_chat, write_dolma
from tests.corpus.test_commands import refused, run, snapshot


@pytest.fixture
def dolma(tmp_path: Path, tiny: AnchorTokenizer) -> Path:
    return write_dolma(tmp_path / "dolma", tiny.control.end_of_text)


def test_bad_token_files(dolma: Path, tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file):
    out, ids = tmp_path / "out", dolma / "part-0-00000.npy"
    arguments = ("adopt", dolma, "--tokenizer", tiny_tokenizer_file, "--out", out)
    whole, end = ids.read_bytes(), tiny.control.end_of_text

    def holds(content: Sequence[int] | bytes, dtype: str = "<u2") -> None:
        raw = content if isinstance(content, bytes) else np.array(content, dtype).tobytes()
        ids.write_bytes(raw)

    holds(whole[:-1])
    refused(arguments, "part-0-00000.npy", "9 bytes", "not a multiple of 2")
    holds([10, 11, end, 12, end], "<u4")
    refused(arguments, "part-0-00000.npy", "uint16", "likely of another dtype: --dtype uint32")
    holds([10, 11, end, 12, 9999, end])
    refused(arguments, "holds the id 9999", f"the vocabulary has {tiny.vocab_size}")
    np.save(ids, np.array([10, 11, end], "<u2"))
    refused(arguments, "part-0-00000.npy", "numpy.save", ".tofile(")
    holds(b"")
    refused(arguments, "part-0-00000.npy", "is empty")
    holds([10, 11, end, 12, 13, end, 14, end])
    refused(arguments, "disagree about 3 document bounds", "tokenize again")
    holds([10, tiny.control.open, end, 12, end])
    refused(arguments, "1 of 2 documents hold an annotation delimiter")
    ids.write_bytes(whole)
    (dolma / "part-1-00000.csv.gz").write_bytes(b"torn")
    refused(arguments, "part-1-00000.csv.gz")
    assert not out.exists()


def test_bad_masks(tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path) -> None:
    out, source = tmp_path / "out", write_chat(tmp_path / "sft", tiny.control.end_of_text)
    arguments = ("adopt", source, "--tokenizer", tiny_tokenizer_file, "--out", out)
    mask = source / "labels_mask_part_0000.npy"
    mask.write_bytes(bytes(7))
    refused(arguments, "labels_mask_part_0000.npy", "7 bytes for the 8 tokens", "--masks")
    mask.write_bytes(bytes([0, 1, 0, 1, 1, 0, 255, 1]))
    refused(arguments, "labels_mask_part_0000.npy", "holds the byte 255")
    np.save(mask, np.zeros(8, bool))
    refused(arguments, "labels_mask_part_0000.npy", "numpy.save")
    mask.unlink()
    write_chat(tmp_path / "sft2", tiny.control.end_of_text)
    refused((*arguments[:2], tmp_path / "sft2", *arguments[2:]), "sft", "no label mask beside it")
    assert not out.exists()


def test_bad_calls(
    dolma: Path, tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    rest = ("--tokenizer", tiny_tokenizer_file, "--out", out)
    refused(("adopt", tmp_path / "none", *rest), "none: no such file or folder")
    refused(("adopt", "s3://bucket/tokens", *rest), "is a URL", "local")
    refused(("adopt", empty, *rest), "empty: no token files")
    refused(("adopt", dolma, dolma / "part-0-00000.npy", *rest), "named twice")
    refused(("adopt", dolma, "--tokenizer", tmp_path / "t.json", "--out", out), "t.json")
    refused(("adopt", dolma, *rest[:2], "--out", dolma), "not empty")
    refused(("adopt", dolma, *rest[:2], "--out", dolma, "--overwrite"), "inside the output folder")
    assert not out.exists()
    assert "would read all tokens" in run("adopt", dolma, *rest, "--dry-run").stdout
    assert not out.exists()
    assert run("adopt", dolma, *rest).returncode == 0
    manifest = (out / "manifest.json").read_bytes()
    (out / "manifest.json").unlink()
    refused(("inspect", out), "unfinished", "`olmo-anchor adopt` again with --overwrite")
    (out / "manifest.json").write_bytes(manifest)
    before = snapshot(out)
    refused(("adopt", dolma, *rest), "not empty", "--overwrite")
    (dolma / "part-0-00000.npy").write_bytes(b"")
    refused(("adopt", dolma, *rest, "--overwrite"), "is empty")
    assert snapshot(out) == before
    np.array([11, 10, tiny.control.end_of_text, 12, tiny.control.end_of_text], "<u2").tofile(
        dolma / "part-0-00000.npy"
    )
    refused(
        ("inspect", out),
        "part-0-00000.npy: changed since",
        f"make {out} again with: olmo-anchor adopt",
    )
    (dolma / "part-0-00000.npy").unlink()
    refused(
        ("inspect", out), "part-0-00000.npy: missing", f"make {out} again with: olmo-anchor adopt"
    )
    refused(("inspect", dolma), "no manifest.json", "olmo-anchor adopt")
