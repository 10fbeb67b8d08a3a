"""Token files made elsewhere: the layouts of dolma and open-instruct, their bounds and masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from olmo_anchor.corpus.adopt import summary
from olmo_anchor.corpus.token_files import sampled_sha256
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import sha256_file
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.corpus.foreign import adopt, write_chat, write_csv, write_dolma
from tests.corpus.test_commands import snapshot


def rows_of(tokens: TokensDir) -> list[list[tuple[int, int, str | None]]]:
    return [list(part.rows()) for part in tokens.parts]


def test_the_layout_of_dolma(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    end = tiny.control.end_of_text
    source, out = write_dolma(tmp_path / "dolma", end), tmp_path / "tokens"
    before = snapshot(source)
    manifest = adopt(out, [source], tiny_tokenizer_file)
    assert snapshot(source) == before
    assert manifest.counts == {
        "documents": 3,
        "tokens": 9,
        "empty_documents": 0,
        "bounds_made": 0,
        "parts": 2,
    }
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        "manifest.json",
        "tokenizer",
    ]
    tokens = TokensDir.open(out)
    assert [part.ids for part in tokens.parts] == sorted(source.glob("*.npy"))
    assert tokens.parts[0].read(0, 5).tolist() == [10, 11, end, 12, end]
    assert rows_of(tokens) == [[(0, 3, "a"), (3, 5, "b")], [(0, 4, "c")]]
    assert not tokens.chat
    assert tokens.parts[0].record == {
        "path": str(source / "part-0-00000.npy"),
        "size": 10,
        "sampled_sha256": sampled_sha256(source / "part-0-00000.npy"),
        "sha256": sha256_file(source / "part-0-00000.npy"),
    }


def test_the_layout_of_open_instruct(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    end, out = tiny.control.end_of_text, tmp_path / "tokens"
    source = write_chat(tmp_path / "sft", end)
    (source / "tokenizer").mkdir()
    shutil.copy(tiny_tokenizer_file, source / "tokenizer" / "tokenizer.json")
    manifest = adopt(out, [source], source / "tokenizer")
    assert manifest.counts["trained_tokens"] == 5
    assert manifest.counts["documents_without_target"] == 0
    tokens = TokensDir.open(out)
    assert tokens.chat
    assert tokens.train_turns == "final"
    assert "to be annotated: the last of these turns" in summary(manifest, out)
    (part,) = tokens.parts
    mask = part.read_mask(0, 8)
    assert mask is not None
    assert mask.astype(int).tolist() == [0, 1, 0, 1, 1, 0, 1, 1]
    assert rows_of(tokens) == [[(0, 5, None), (5, 8, None)]]
    # A shell's *.npy names the masks too.
    again = adopt(tmp_path / "again", sorted(source.glob("*.npy")), source / "tokenizer")
    assert again.extra["parts"] == manifest.extra["parts"]


def test_bounds_are_made_where_there_are_none(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    end, out = tiny.control.end_of_text, tmp_path / "tokens"
    source = write_dolma(tmp_path / "dolma", end)
    (source / "part-1-00000.csv.gz").unlink()
    manifest = adopt(out, [source], tiny_tokenizer_file)
    assert manifest.counts["bounds_made"] == 1
    assert not (source / "part-1-00000.csv.gz").exists()
    assert rows_of(TokensDir.open(out))[1] == [(0, 4, None)]
    first = (out / "token_ids_part_0001.csv.gz").read_bytes()
    adopt(out, [source], tiny_tokenizer_file, overwrite=True)
    assert (out / "token_ids_part_0001.csv.gz").read_bytes() == first, "no time in it"


def test_a_template_that_begins_with_end_of_text(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    """OLMo-2's own chat template: to OLMo-core its first token is a document."""
    end, out = tiny.control.end_of_text, tmp_path / "tokens"
    source = write_chat(tmp_path / "sft", end, begin=[end])
    said = r"2 document bounds .* 2 documents begin with an end-of-text .* --bounds end-of-text"
    with pytest.raises(InputError, match=said):
        adopt(out, [source], tiny_tokenizer_file)
    assert not out.exists()
    manifest = adopt(out, [source], tiny_tokenizer_file, bounds="end-of-text")
    assert manifest.counts["empty_documents"] == 2
    assert manifest.counts["documents_without_target"] == 2
    assert "2 documents hold nothing but their end-of-text" in summary(manifest, out)
    starts = [start for start, _, _ in rows_of(TokensDir.open(out))[0]]
    assert starts == [0, 1, 6, 7]
    (source / "token_ids_part_0000.csv.gz").unlink()
    same = adopt(tmp_path / "without", [source], tiny_tokenizer_file)
    assert same.counts["empty_documents"] == 2


def test_conversations_that_were_cut_are_told_apart(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    end, source = tiny.control.end_of_text, tmp_path / "sft"
    source.mkdir()
    np.array([20, 21, 22, end, 23, 24], "<u2").tofile(source / "token_ids_part_0000.npy")
    np.array([25, end], "<u2").tofile(source / "token_ids_part_0001.npy")
    for part, length in enumerate((6, 2)):
        np.ones(length, bool).tofile(source / f"labels_mask_part_{part:04d}.npy")
    said = r"part_0000\.npy: the last document has no end-of-text.* between two parts"
    with pytest.raises(InputError, match=said):
        adopt(tmp_path / "out", [source], tiny_tokenizer_file)
    np.array([20, 21, 22, 23, 24, end], "<u2").tofile(source / "token_ids_part_0000.npy")
    write_csv(source / "token_ids_part_0000.csv.gz", [(0, 4), (4, 6)])
    with pytest.raises(InputError, match=r"1 document bounds .* 1 documents do not end .* convert"):
        adopt(tmp_path / "out", [source], tiny_tokenizer_file)


def test_masks_named_by_a_glob(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    end = tiny.control.end_of_text
    for part in range(2):
        source = write_chat(tmp_path / f"chat{part}", end)
        for kind in ("ids", "mask"):
            (tmp_path / kind).mkdir(exist_ok=True)
        (source / "token_ids_part_0000.npy").rename(tmp_path / "ids" / f"x_{part}.npy")
        (source / "labels_mask_part_0000.npy").rename(tmp_path / "mask" / f"y_{part}.npy")
    globbed = {"masks": str(tmp_path / "mask" / "*.npy")}
    adopt(tmp_path / "out", [tmp_path / "ids"], tiny_tokenizer_file, **globbed)
    parts = TokensDir.open(tmp_path / "out").parts
    assert [(part.ids.name, part.mask and part.mask.name) for part in parts] == [
        ("x_0.npy", "y_0.npy"),
        ("x_1.npy", "y_1.npy"),
    ]
    (tmp_path / "mask" / "y_1.npy").rename(tmp_path / "mask" / "y_2.npy")
    with pytest.raises(InputError, match=r"y_2\.npy would go with x_1\.npy"):
        adopt(tmp_path / "new", [tmp_path / "ids"], tiny_tokenizer_file, **globbed)
    (tmp_path / "mask" / "y_2.npy").unlink()
    with pytest.raises(InputError, match="gives 1 files for 2 token files"):
        adopt(tmp_path / "new", [tmp_path / "ids"], tiny_tokenizer_file, **globbed)
    with pytest.raises(InputError, match="there is no such file"):
        adopt(tmp_path / "new", [tmp_path / "ids"], tiny_tokenizer_file, masks="none*.npy")
