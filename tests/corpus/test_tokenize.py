"""``olmo-anchor tokenize`` on documents: ids, parts, rejected records, and a dry run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from olmo_anchor.chat import encode_conversation
from olmo_anchor.corpus.tokenize import TokenizeConfig, summary
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import WorkFailed
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.corpus.conftest import contents, conversation, documents, rows, write_jsonl


def test_ids_are_those_of_tokenizers_and_one_end_of_text(
    tmp_path: Path, shared_data: Path, dolma2: AnchorTokenizer
) -> None:
    source = shared_data / "corpus" / "books.jsonl"
    tokenizer_file = shared_data / "tokenizer" / "allenai_dolma2.json"
    out = tmp_path / "tokens"
    TokenizeConfig((source,), str(tokenizer_file), out, limit=30).run()
    ids = np.fromfile(out / "token_ids_part_0000.npy", np.dtype("<u4"))
    plain = Tokenizer.from_file(str(tokenizer_file))
    bounds = rows(out / "token_ids_part_0000.csv.gz")
    with source.open() as file:
        records = [json.loads(next(file)) for _ in range(30)]
    assert [row[2] for row in bounds] == [record["id"] for record in records]
    for (start, end, _), record in zip(bounds, records, strict=True):
        expected = plain.encode(record["text"], add_special_tokens=False).ids
        assert ids[int(start) : int(end)].tolist() == [*expected, 100257]
    assert int(bounds[-1][1]) == len(ids)
    assert (ids == dolma2.control.end_of_text).sum() == 30


def test_control_strings_in_text_stay_text(tokenize: Any, tiny: AnchorTokenizer) -> None:
    text = "The <|endoftext|> cat <|extra_id_1|>sat<|extra_id_2|><|im_start|>"
    out, manifest = tokenize(documents(text))
    ids = np.fromfile(out / "token_ids_part_0000.npy", manifest.extra["dtype"])
    assert tiny.decode(ids) == text + "<|endoftext|>"
    assert (ids == tiny.control.end_of_text).sum() == 1
    assert tiny.control.open not in ids


def test_the_encoder_is_named_and_is_no_part_of_what_was_made(
    tmp_path: Path, tiny_tokenizer_file: Path
) -> None:
    path = write_jsonl(tmp_path / "input.jsonl", documents(*["The cat sat.\r\n" * 200] * 500))
    config = TokenizeConfig((path,), str(tiny_tokenizer_file), tmp_path / "fast")
    manifest = config.run()
    assert manifest.extra["encoder"].startswith("gigatoken 0.")
    assert f"encoded with {manifest.extra['encoder']}" in summary(manifest, config.out)
    # The same without the fast ones, and resumed with them.
    script = (
        "import sys; sys.modules['gigatoken'] = sys.modules['tiktoken'] = None;"
        "from olmo_anchor.cli import main; main()"
    )
    arguments = ("tokenize", str(path), "--tokenizer", str(tiny_tokenizer_file))
    slow = tmp_path / "slow"
    command = [sys.executable, "-c", script, *arguments, "--out", str(slow), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"encoded with tokenizers {metadata.version('tokenizers')}" in done.stdout
    assert contents(slow) == contents(config.out)
    replace(config, out=slow, resume=True).run()


def test_parts_hold_whole_documents(tokenize: Any, tiny: AnchorTokenizer) -> None:
    texts = ["The cat", "sat", "on the mat. The dog ran to the cat", "ran", "to"]
    lengths = [len(tiny.encode(text)) + 1 for text in texts]
    limit = lengths[0] + lengths[1]
    assert lengths[2] > limit, "one document is longer than a part"
    out, manifest = tokenize(documents(*texts), part_tokens=limit)
    assert [part["documents"] for part in manifest.extra["parts"]] == [2, 1, 2]
    assert rows(out / "token_ids_part_0002.csv.gz") == [
        ["0", str(lengths[3]), "d3"],
        [str(lengths[3]), str(lengths[3] + lengths[4]), "d4"],
    ]
    opened = TokensDir.open(out)
    assert (opened.documents, opened.tokens) == (5, sum(lengths))
    assert opened.tokenizer().hash == tiny.hash


def test_ids_with_commas_and_quotes_do_not_disturb_olmo_core(tokenize: Any) -> None:
    from olmo_core.data.utils import iter_document_indices

    names = ['a,b "c"', "d", 'e"']
    out, _ = tokenize([{"id": name, "text": "The cat"} for name in names])
    bounds = rows(out / "token_ids_part_0000.csv.gz")
    assert [row[2] for row in bounds] == names
    path = out / "token_ids_part_0000.npy"
    assert list(iter_document_indices(path, use_array_if_local=False)) == [
        (int(start), int(end)) for start, end, _ in bounds
    ]


def test_records_without_an_id_are_named_by_file_and_line(tokenize: Any) -> None:
    out, _ = tokenize([{"text": "The"}, {"id": 7, "text": "cat"}, {"id": None, "text": "sat"}])
    names = [row[2] for row in rows(out / "token_ids_part_0000.csv.gz")]
    assert names == ["input/1", "7", "input/3"]


def test_rejects_are_written_with_file_line_and_reason(tokenize: Any, tmp_path: Path) -> None:
    records = [*documents("The", "cat"), {"id": "d0", "text": "again"}, {"id": "e", "text": ""}]
    out, manifest = tokenize(records)
    assert [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()] == [
        {"reason": "duplicate id", "file": f"{tmp_path}/input.jsonl", "line": 3, "id": "d0"},
        {"reason": "`text` is empty", "file": f"{tmp_path}/input.jsonl", "line": 4, "id": "e"},
    ]
    assert manifest.counts["records"] == 4
    assert manifest.counts["rejected"] == 2
    assert manifest.extra["rejected_reasons"] == {"duplicate id": 1, "`text` is empty": 1}


def test_rejected_share(tokenize: Any) -> None:
    records = [*documents("The", "cat", "sat"), {"id": "x"}]
    with pytest.raises(WorkFailed, match="1 of 4 records"):
        tokenize(records, max_rejected=0.2)
    _, manifest = tokenize(records, max_rejected=0.25, resume=True)
    assert manifest.counts["documents"] == 3


def test_crlf_is_normalised_and_counted(tokenize: Any, tiny: AnchorTokenizer) -> None:
    out, manifest = tokenize(documents("The cat\r\n\r\nsat", "on\r\n", "the mat"))
    ids = np.fromfile(out / "token_ids_part_0000.npy", manifest.extra["dtype"])
    assert tiny.decode(ids) == "The cat\n\nsat<|endoftext|>on\n<|endoftext|>the mat<|endoftext|>"
    assert manifest.counts["crlf_normalised"] == 3


@pytest.mark.parametrize("chat", [False, True])
def test_workers_shuffle_and_time_leave_no_trace(
    tokenize: Any, chat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("olmo_anchor.corpus.jsonl._BLOCK", 300)
    monkeypatch.setattr("olmo_anchor.corpus.tokenize._SHUFFLED_BATCH", 7)
    texts = [f"The cat ran {k} times" for k in range(60)]
    records: list[Any] = documents(*texts)
    if chat:
        records = [{"id": k, "messages": conversation(text)} for k, text in enumerate(texts)]
    options = {"chat": chat, "shuffle_seed": 3, "part_tokens": 200}
    one, _ = tokenize(records, "one", **options)
    two, _ = tokenize(records, "two", workers=2, **options)
    assert contents(one) == contents(two)
    names = [row[2] for path in sorted(one.glob("*.csv.gz")) for row in rows(path)]
    assert sorted(names) == sorted(str(record["id"]) for record in records)
    assert names != [str(record["id"]) for record in records]


def test_a_dry_run_checks_every_record_and_writes_nothing(
    tokenize: Any, tmp_path: Path, tiny_tokenizer_file: Path
) -> None:
    records: list[Any] = documents(*(f"The cat ran {k} times" for k in range(22)))
    records[3:3] = [{"id": "x", "text": ""}] * 3
    records += [{"id": "y"}, *records[:2], {"id": "z", "text": 3}]
    path = write_jsonl(tmp_path / "input.jsonl", records)
    config = TokenizeConfig((path,), str(tiny_tokenizer_file), tmp_path / "out")
    plan = config.plan()
    assert sorted(tmp_path.iterdir()) == [path]
    manifest = config.run()
    assert f"{path}: 29 records" in plan
    at = plan.index("would reject 7 of 29 records (24.1%):")
    assert plan[at + 1 : at + 5] == [
        "    3 x `text` is empty",
        "    2 x duplicate id",
        "    1 x no `text`",
        "    1 x `text` is not a string",
    ]
    tokens = manifest.counts["tokens"]
    assert plan[at + 5] == f"would write 22 documents, {tokens:,} tokens, to {tmp_path}/out"
    assert manifest.extra["rejected_reasons"] == {
        line.split(" x ")[1]: int(line.split(" x ")[0]) for line in plan[at + 1 : at + 5]
    }


def test_a_dry_run_of_many_records_says_that_it_estimates(
    tmp_path: Path, tiny_tokenizer_file: Path
) -> None:
    records: list[Any] = documents(*("The cat sat" for _ in range(2000)))
    path = write_jsonl(tmp_path / "input.jsonl", [*records, *[{"id": "x", "text": ""}] * 30])
    config = TokenizeConfig((path,), str(tiny_tokenizer_file), tmp_path / "out")
    *_, rejects, reason, fails, writes = config.plan()
    assert (rejects, reason) == (
        "would reject 30 of 2,030 records (1.5%):",
        "    30 x `text` is empty",
    )
    assert "1.0%" in fails
    assert "--max-rejected" in fails
    told = re.fullmatch(r"would write 2,000 documents, about ([\d,]+) tokens \(only .*", writes)
    assert told is not None
    tokens = replace(config, max_rejected=1).run().counts["tokens"]
    assert int(told[1].replace(",", "")) == pytest.approx(tokens, rel=0.02)


def test_a_dry_run_says_what_only_tokenizing_tells(
    tmp_path: Path, tiny: AnchorTokenizer, tiny_tokenizer_file: Path
) -> None:
    prompt = encode_conversation(conversation("x"), tiny)[1].index(True)
    talks = [conversation("sat"), conversation("The cat ran"), conversation("a", "The cat", "b")]
    path = write_jsonl(tmp_path / "in.jsonl", [{"messages": talk} for talk in talks])
    out = tmp_path / "out"
    config = TokenizeConfig(
        (path,), str(tiny_tokenizer_file), out, chat=True, max_length=prompt + 2
    )
    plan = config.plan()
    assert "    1 x no trained token within --max-length" in plan
    assert "would cut 1 of them at --max-length" in plan
    assert not out.exists()
