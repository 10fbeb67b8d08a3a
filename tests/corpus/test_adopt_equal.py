"""Adopted token files train as files of our own do, from the command to the batches."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.source import (
    InterleavedDocumentSource,
    InterleavedDocumentSourceConfig,
)
from tests.corpus.foreign import adopt, write_chat
from tests.corpus.test_commands import snapshot


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
