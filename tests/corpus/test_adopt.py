"""Token files made elsewhere: the layouts of dolma and open-instruct, and every refusal."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result

from olmo_anchor.cli import cli
from olmo_anchor.corpus.adopt import AdoptConfig, summary
from olmo_anchor.corpus.token_files import sampled_sha256
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import Manifest, sha256_file
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.source import (
    InterleavedDocumentSource,
    InterleavedDocumentSourceConfig,
)
from tests.corpus.test_commands import refused, run, snapshot

Rows = Sequence[tuple[Any, ...]]


def write_csv(path: Path, rows: Rows) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)


def write_dolma(folder: Path, end: int, dtype: str = "<u2") -> Path:
    """Two files of ``dolma tokens``: two documents, then one."""
    folder.mkdir(parents=True)
    np.array([10, 11, end, 12, end], dtype).tofile(folder / "part-0-00000.npy")
    rows = [(0, 3, "a", "docs.jsonl.gz", 1), (3, 5, "b", "docs.jsonl.gz", 2)]
    write_csv(folder / "part-0-00000.csv.gz", rows)
    np.array([13, 14, 15, end], dtype).tofile(folder / "part-1-00000.npy")
    write_csv(folder / "part-1-00000.csv.gz", [(0, 4, "c", "docs.jsonl.gz", 3)])
    return folder


def write_chat(folder: Path, end: int, *, begin: Sequence[int] = (), csv: bool = True) -> Path:
    """A file of open-instruct's converter: two turns, then one; ``begin`` leads each."""
    folder.mkdir(parents=True)
    documents = [[*begin, 20, 21, 22, 23, end], [*begin, 24, 25, end]]
    off = [0] * len(begin)
    masks = [[*off, 0, 1, 0, 1, 1], [*off, 0, 1, 1]]
    np.array([*chain(*documents)], "<u2").tofile(folder / "token_ids_part_0000.npy")
    np.array([*chain(*masks)], bool).tofile(folder / "labels_mask_part_0000.npy")
    if csv:
        middle, length = len(documents[0]), sum(map(len, documents))
        write_csv(folder / "token_ids_part_0000.csv.gz", [(0, middle), (middle, length)])
    return folder


def adopt(out: Path, inputs: Iterable[Path], tokenizer: Path, **options: Any) -> Manifest:
    return AdoptConfig(inputs=(*inputs,), tokenizer=str(tokenizer), out=out, **options).run()


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


# --- the same as files of our own ----------------------------------------------------------------


def command(*arguments: Any) -> Result:
    result = CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def everything(tokens: Path, overlay: Path, work: Path, **options: Any) -> list[Any]:
    config = InterleavedDocumentSourceConfig(
        str(tokens), str(overlay), verify=True, max_unannotated=0.5, **options
    )
    found = []
    for source in config.build(work):
        assert isinstance(source, InterleavedDocumentSource)
        read = source.get_token_range(0, source.num_tokens)
        found.append(
            (
                np.asarray(read["input_ids"]).tolist(),
                np.asarray(read["label_mask"]).tolist(),
                list(source.get_document_offsets()),
                source.fingerprint,
            )
        )
    return found


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return path


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def conversation(k: int) -> dict[str, Any]:
    messages = [turn("user", f"Where is cat {k}?"), turn("assistant", f"Cat {k} sat on the mat.")]
    if k % 3:
        messages += [turn("user", "And then?"), turn("assistant", f"The dog {k} ran.")]
    return {"id": str(k), "messages": messages}


@pytest.mark.parametrize("chat", [False, True])
def test_equal_to_our_own_files_from_tokens_to_training(
    chat: bool, tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    ours, theirs, elsewhere = tmp_path / "ours", tmp_path / "theirs", tmp_path / "elsewhere"
    if chat:
        records = [conversation(k) for k in range(40)]
        options = ["--chat", "--train-turns", "all"]
    else:
        records = [{"id": str(k), "text": f"The cat {k}.\n\nThe mat."} for k in range(40)]
        options = []
    inputs = write_jsonl(tmp_path / "records.jsonl", records)
    command(
        *("tokenize", inputs, "--tokenizer", tiny_tokenizer_file, "--out", ours, *options),
        *("--part-tokens", 500),
    )
    elsewhere.mkdir()
    for path in ours.glob("*part_*"):
        name = path.name if chat else path.name.replace("token_ids_part_", "part-0-0")
        shutil.copy(path, elsewhere / name)
    before = snapshot(elsewhere)
    turns = ("--train-turns", "all") if chat else ()
    said = command("adopt", elsewhere, "--tokenizer", tiny_tokenizer_file, "--out", theirs, *turns)
    assert "40 documents" in said.output
    assert ("to be annotated: every one of these turns" in said.output) == chat
    # The paper's: the last turn alone has an annotation (of two turns it is chunk 1).
    chunk = [int(chat and k % 3 > 0) for k in range(40)]
    tags = [
        {"id": str(k), "chunk": chunk[k], "tags": [["topic", f"cat {k}"]]} for k in range(0, 40, 2)
    ]
    notes = write_jsonl(tmp_path / "tags.jsonl", tags)
    pages = []
    for tokens in (ours, theirs):
        annotations, overlay, stock = (
            tokens.with_name(f"{tokens.name}-{what}") for what in ("notes", "overlay", "stock")
        )
        command(
            *("annotate", tokens, "--annotator", "file", "--annotations", notes),
            *("--out", annotations),
        )
        command("overlay", tokens, annotations, "--out", overlay)
        command("materialise", tokens, "--overlay", overlay, "--out", stock)
        page = tmp_path / f"{tokens.name}.html"
        command("inspect", tokens, "--overlay", overlay, "--doc", "2", "--html", page)
        pages.append(page.read_text().replace(str(tokens), "tokens"))
    assert pages[0] == pages[1]
    for annotated in (True, False):
        read = [
            everything(tokens, tokens.with_name(f"{tokens.name}-overlay"), tmp_path, **kept)
            for tokens in (ours, theirs)
            for kept in [{"annotations": annotated}]
        ]
        assert read[0] == read[1]
    stocks = [snapshot(tmp_path / f"{name}-stock") for name in ("ours", "theirs")]
    assert [key for key in stocks[0] if stocks[0][key] != stocks[1][key]] == ["manifest.json"]
    assert snapshot(elsewhere) == before

    if chat:  # by default the last run alone is trained, behind its annotation
        ids, mask, offsets, _ = everything(theirs, tmp_path / "theirs-overlay", tmp_path)[0]
        first, last = offsets[2]
        assert tiny.decode([i for i, m in zip(ids[first:last], mask[first:last], strict=True) if m])
        runs = np.flatnonzero(np.diff([0, *mask[first:last], 0])).reshape(-1, 2)
        ((begin, end),) = runs.tolist()
        assert ids[first + begin] == tiny.control.open
        assert end == last - first
        refusal = {"annotations": True, "train_turns": "all"}
        with pytest.raises(InputError, match="not every assistant turn has an annotation"):
            everything(theirs, tmp_path / "theirs-overlay", tmp_path, **refusal)


def test_only_the_last_of_the_turns_that_masks_train(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    end, open_, close = tiny.control.end_of_text, tiny.control.open, tiny.control.close
    source, tokens = write_chat(tmp_path / "sft", end), tmp_path / "tokens"
    adopt(tokens, [source], tiny_tokenizer_file)
    tags = [{"part": 0, "doc": k, "chunk": 0, "annotation": "topic:cat"} for k in range(2)]
    notes = write_jsonl(tmp_path / "tags.jsonl", tags)
    annotations, overlay = tmp_path / "annotations", tmp_path / "overlay"
    file = ("--annotator", "file", "--annotations", notes)
    said = command("annotate", tokens, *file, "--out", annotations)
    assert "2 of 2 chunks annotated" in said.output
    command("overlay", tokens, annotations, "--out", overlay)
    ids, mask, *_ = everything(tokens, overlay, tmp_path)[0]
    z = [open_, *tiny.encode("topic"), tiny.control.colon, *tiny.encode("cat"), close]
    assert ids == [20, 21, 22, *z, 23, end, 24, *z, 25, end]
    on = [True] * len(z)
    assert mask == [False] * 3 + on + [True, True, False] + on + [True, True]
    # Every chunk has its annotation, but not every turn that the masks train.
    with pytest.raises(InputError, match="not every assistant turn has an annotation"):
        everything(tokens, overlay, tmp_path, train_turns="all")


# --- bad input, as it is typed -------------------------------------------------------------------


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
