"""``olmo-anchor tokenize``: the files, read back by an untouched OLMo-core, and resuming."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
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
from olmo_anchor.errors import InputError, WorkFailed
from olmo_anchor.manifest import Manifest
from olmo_anchor.tokenizer import AnchorTokenizer


def write_jsonl(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def documents(*texts: str) -> list[dict[str, str]]:
    return [{"id": f"d{k}", "text": text} for k, text in enumerate(texts)]


def rows(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that must not depend on when and in how many pieces it was written."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", ".olmo-anchor")
    }


@pytest.fixture
def tokenize(tmp_path: Path, tiny_tokenizer_file: Path) -> Any:
    def run(records: Sequence[Any], out: str = "tokens", **options: Any) -> tuple[Path, Manifest]:
        path = write_jsonl(tmp_path / "input.jsonl", records)
        folder = tmp_path / out
        config = TokenizeConfig((path,), str(tiny_tokenizer_file), folder, **options)
        return folder, config.run()

    return run


# --- documents -----------------------------------------------------------------------------------


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


# --- conversations -------------------------------------------------------------------------------


def conversation(response: str, *earlier: str) -> list[dict[str, str]]:
    turns = [*earlier, "The dog", response]
    return [
        {"role": "assistant" if k % 2 else "user", "content": turn} for k, turn in enumerate(turns)
    ]


def test_conversations_are_read_by_olmo_core(
    tokenize: Any, tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    from olmo_core.data import TokenizerConfig
    from olmo_core.data.composable import NumpyDocumentSourceConfig

    talks = [conversation("ran"), conversation("sat", "The cat", "on the mat.")]
    out, manifest = tokenize(
        [{"id": k, "messages": talk} for k, talk in enumerate(talks)], chat=True
    )
    (source,) = NumpyDocumentSourceConfig(
        source_paths=[str(out / "token_ids_part_0000.npy")],
        label_mask_paths=[str(out / "labels_mask_part_0000.npy")],
        tokenizer=TokenizerConfig(
            vocab_size=tiny.vocab_size,
            eos_token_id=tiny.control.end_of_text,
            pad_token_id=tiny.pad_id,
        ),
    ).build(tmp_path / "work")
    offsets = list(source.get_document_offsets())
    assert len(offsets) == 2
    for (start, end), talk in zip(offsets, talks, strict=True):
        ids, mask = encode_conversation(talk, tiny)
        tokens = source.get_token_range(start, end)
        assert list(tokens["input_ids"]) == ids
        assert list(tokens["label_mask"]) == mask
    assert manifest.counts["trained_tokens"] == sum(
        sum(encode_conversation(talk, tiny)[1]) for talk in talks
    )


def test_a_tokenizer_that_names_another_layout_is_not_theirs(tokenize: Any) -> None:
    out, _ = tokenize([{"messages": conversation("sat")}], chat=True)
    names = out / "tokenizer" / "tokenizer_anchor.json"
    names.write_text(names.read_text().replace('"olmo"', '"plain"'))
    with pytest.raises(InputError, match=r"tokenizer_anchor\.json.*'plain'.*'olmo'"):
        TokensDir.open(out).tokenizer()


def test_control_ids_are_told_without_loading_but_not_past_a_change(
    tokenize: Any, tiny: AnchorTokenizer
) -> None:
    out, _ = tokenize(documents("The cat"))
    opened = TokensDir.open(out)
    assert opened.control() == tiny.control
    names, stored = out / "tokenizer/tokenizer_anchor.json", out / "tokenizer/tokenizer.json"
    names.write_text(names.read_text().replace("<|extra_id_1|>", "<|im_start|>"))
    assert opened.control().open == tiny.special("<|im_start|>")
    stored.write_bytes(stored.read_bytes() + b" ")
    with pytest.raises(InputError, match="not the tokenizer that made these tokens"):
        opened.control()


def read_chat(out: Path, manifest: Manifest) -> tuple[list[int], list[bool]]:
    ids = np.fromfile(out / "token_ids_part_0000.npy", manifest.extra["dtype"])
    mask = np.fromfile(out / "labels_mask_part_0000.npy", np.bool_)
    return ids.tolist(), mask.tolist()


def test_a_truncated_conversation_ends_with_an_untrained_end_of_text(
    tokenize: Any, tiny: AnchorTokenizer
) -> None:
    talk = conversation("The cat sat on the mat.")
    ids, mask = encode_conversation(talk, tiny)
    out, manifest = tokenize([{"messages": talk}], chat=True, max_length=len(ids) - 1)
    assert read_chat(out, manifest) == (
        [*ids[:-2], tiny.control.end_of_text],
        [*mask[:-2], False],
    )
    assert manifest.counts["truncated"] == 1


def test_a_conversation_that_just_fits_is_left_alone(tokenize: Any, tiny: AnchorTokenizer) -> None:
    talk = conversation("The cat sat on the mat.")
    ids, mask = encode_conversation(talk, tiny)
    out, manifest = tokenize([{"messages": talk}], chat=True, max_length=len(ids))
    assert read_chat(out, manifest) == (ids, mask)
    assert manifest.counts["truncated"] == 0


def test_conversations_without_a_trained_token_are_rejected(
    tokenize: Any, tiny: AnchorTokenizer
) -> None:
    prompt = encode_conversation(conversation("x"), tiny)[1].index(True)
    talks = [conversation("sat"), conversation("sat", "The cat " * 20, "ran")]
    records = [{"id": k, "messages": talk} for k, talk in enumerate(talks)]
    # One token of the response and the end-of-text fit.
    out, manifest = tokenize(records, chat=True, max_length=prompt + 2)
    assert manifest.counts["documents"] == 1
    (rejected,) = [json.loads(line) for line in (out / "rejected.jsonl").open()]
    assert rejected["id"] == "1"
    assert rejected["reason"] == "no trained token within --max-length"
    with pytest.raises(WorkFailed, match="all 2 records were rejected"):
        tokenize(records, "none", chat=True, max_length=prompt + 1)
    assert not (out.parent / "none" / "manifest.json").exists()


def test_train_turns_all(tokenize: Any, tiny: AnchorTokenizer) -> None:
    talk = conversation("sat", "The cat", "ran")
    out, manifest = tokenize([{"messages": talk}], chat=True, train_turns="all")
    assert read_chat(out, manifest) == encode_conversation(talk, tiny, "all")
    assert manifest.extra["train_turns"] == "all"


def test_annotations_in_raw_responses_are_dropped_and_counted(tokenize: Any) -> None:
    raw = "<|extra_id_1|>topic:x<|extra_id_2|>sat"
    out, manifest = tokenize([{"id": "a", "messages": conversation(raw)}], "raw", chat=True)
    clean, _ = tokenize([{"id": "a", "messages": conversation("sat")}], "clean", chat=True)
    assert manifest.counts["annotations_dropped"] == 1
    assert contents(out) == contents(clean)


def test_control_strings_in_messages_are_broken_up_and_counted(
    tokenize: Any, tiny: AnchorTokenizer
) -> None:
    talk = conversation("a <|im_end|> sat", "<|extra_id_1|><|im_start|>", "The cat")
    raw = conversation("<|extra_id_1|>topic:x<|extra_id_2|>sat")  # dropped, not broken up
    out, manifest = tokenize([{"messages": talk}, {"messages": raw}], chat=True)
    assert manifest.counts["controls_broken"] == 3
    ids, _ = read_chat(out, manifest)
    assert "a < |im_end|> sat" in tiny.decode(ids)
    assert "3 control strings in messages" in summary(manifest, out)
    _, clean = tokenize([{"messages": conversation("sat")}], "clean", chat=True)
    assert clean.counts["controls_broken"] == 0
    assert "control strings" not in summary(clean, out)


# --- stopping and going on -----------------------------------------------------------------------


def test_resume_of_a_finished_folder_changes_nothing(tokenize: Any) -> None:
    out, manifest = tokenize(documents("The cat"))
    stamp = (out / "manifest.json").stat().st_mtime_ns
    _, again = tokenize(documents("The cat"), resume=True)
    assert again.hash == manifest.hash
    assert (out / "manifest.json").stat().st_mtime_ns == stamp


def unfinished(tokenize: Any, records: list[dict[str, str]]) -> Path:
    """A folder whose parts are all done, but for which too many records were rejected."""
    with pytest.raises(WorkFailed) as caught:
        tokenize(records, part_tokens=2, max_rejected=0.0)
    return Path(re.findall(r"See (.*)/rejected\.jsonl", str(caught.value))[0])


def test_resume_with_other_inputs_or_settings_is_refused(tokenize: Any) -> None:
    records = [*documents("The cat", "sat"), {"id": "x"}]
    folders = [unfinished(tokenize, records)]
    folders.append(tokenize(records, "finished", part_tokens=2)[0])
    for out in folders:
        before = contents(out)
        with pytest.raises(InputError, match=r"other settings or inputs \(part_tokens\)"):
            tokenize(records, out.name, part_tokens=3, resume=True)
        with pytest.raises(InputError, match=r"other settings or inputs \(inputs.*\)"):
            tokenize(records[1:], out.name, part_tokens=2, resume=True)
        assert contents(out) == before


def test_resume_with_other_delimiters_is_refused(
    tokenize: Any, tiny_tokenizer_file: Path, tmp_path: Path
) -> None:
    out, _ = tokenize(documents("The cat"))
    other = tmp_path / "other"
    AnchorTokenizer.load(tiny_tokenizer_file, delimiters=("<|im_start|>", "<|im_end|>")).save(other)
    config = TokenizeConfig((tmp_path / "input.jsonl",), str(other), out, resume=True)
    with pytest.raises(InputError, match=r"other settings or inputs \(delimiters\)"):
        config.run()


def test_resume_makes_parts_anew_that_are_not_as_they_were(tokenize: Any) -> None:
    records = [*documents("The cat", "sat", "on", "the mat"), {"id": "x"}]
    out = unfinished(tokenize, records)
    part = out / "token_ids_part_0002.npy"
    part.write_bytes(part.read_bytes()[:-2])
    (out / "token_ids_part_0007.npy").write_bytes(b"from another run")
    tokenize(records, part_tokens=2, resume=True)
    assert contents(out) == contents(tokenize(records, "whole", part_tokens=2)[0])


def test_files_that_changed_are_noticed_without_reading_them_whole(
    tokenize: Any, tmp_path: Path
) -> None:
    out, _ = tokenize([{"id": "a", "messages": conversation("sat")}], chat=True)
    opened = TokensDir.open(out)
    opened.check_contents()
    for name in ("labels_mask_part_0000.npy", "token_ids_part_0000.npy"):
        path = out / name
        whole = path.read_bytes()
        path.write_bytes(bytes([1]) + whole[1:])
        with pytest.raises(InputError, match=rf"{name}: changed since.*olmo-anchor tokenize"):
            opened.check_contents()
        path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_and_resume_gives_the_same_bytes(
    tmp_path: Path, tiny_tokenizer_file: Path, workers: int
) -> None:
    text = "The cat sat on the mat. The dog ran to the cat. " * 40
    lines = []
    for k in range(12_000):
        name = f"d{k - 1 if k % 500 == 499 else k}"  # now and then a duplicate
        lines.append("{\n" if k % 300 == 299 else json.dumps({"id": name, "text": text}) + "\n")
    path = tmp_path / "input.jsonl"
    path.write_text("".join(lines))

    def command(out: Path, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "olmo_anchor.cli", "tokenize", str(path), "--out", str(out)),
            *("--tokenizer", str(tiny_tokenizer_file), "--part-tokens", "200000"),
            *("--workers", str(workers), *more),
        ]

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole), check=True, capture_output=True)
    parts = len(list(whole.glob("*.npy")))
    assert parts > 10
    # Twice, at different points.
    for wanted in (parts // 4, parts // 2):
        more = ["--resume"] if killed.exists() else []
        process = subprocess.Popen(
            command(killed, *more), stderr=subprocess.DEVNULL, start_new_session=True
        )
        while len(list(killed.glob("token_ids*.npy"))) < wanted:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (killed / "manifest.json").exists()
    subprocess.run(command(killed, "--resume"), check=True, capture_output=True)
    assert contents(killed) == contents(whole)
    counts = [json.loads((f / "manifest.json").read_text())["counts"] for f in (killed, whole)]
    assert counts[0] == counts[1]
    assert counts[0]["rejected"] > 40
