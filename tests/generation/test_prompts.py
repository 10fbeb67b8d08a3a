from __future__ import annotations

from pathlib import Path

import pytest

from olmo_anchor.chat import encode_prompt
from olmo_anchor.errors import InputError
from olmo_anchor.generation.prompts import read_prompts
from olmo_anchor.tokenizer import AnchorTokenizer


def write(folder: Path, *lines: str | bytes) -> Path:
    path = folder / "prompts.jsonl"
    path.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
    return path


def test_raw_text_messages_and_the_rest(tmp_path: Path, tiny: AnchorTokenizer) -> None:
    path = write(
        tmp_path,
        '{"id": "a", "prompt": "The cat", "prefill": " sat", "genre": ["x"], "n": 3}',
        '{"id": 7, "messages": [{"role": "user", "content": "The <|im_end|> dog"}]}',
        '{"prompt": "The <|extra_id_1|>"}',
    )
    prompts, unusable = read_prompts(path, tiny, 100)
    assert not unusable
    assert [prompt.id for prompt in prompts] == ["a", "7", "3"]
    assert prompts[0].ids == tiny.encode("The cat")
    assert prompts[0].prefill_ids == tiny.encode(" sat")
    assert prompts[0].fields == {"genre": ["x"], "n": 3}
    messages = [{"role": "user", "content": "The <|im_end|> dog"}]
    assert (prompts[1].text, prompts[1].ids) == (messages, encode_prompt(messages, tiny))
    assert tiny.control.open not in prompts[2].ids


USER = '{"role": "user", "content": "x"}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", "not JSON"),
        (b'{"prompt": "\xff"}', "not JSON"),
        ('{"prompt": "\\ud800"}', "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"id": "x"}', "either `prompt` or `messages`"),
        (f'{{"prompt": "x", "messages": [{USER}]}}', "either `prompt` or `messages`"),
        ('{"prompt": 3}', "`prompt` is not a string"),
        ('{"prompt": "x", "prefill": 3}', "`prefill` is not a string"),
        ('{"id": [], "prompt": "x"}', "neither a string nor an integer"),
        ('{"id": "good", "prompt": "x"}', "stood in an earlier line"),
        ('{"messages": []}', "`messages` is not a list with something in it"),
        ('{"messages": ["x"]}', "a message is not an object"),
        ('{"messages": [{"role": "user"}]}', "a message is not an object"),
        ('{"messages": [{"role": "bot", "content": "x"}]}', "the role is 'bot'"),
        (f'{{"messages": [{USER}, {{"role": "assistant", "content": "x"}}]}}', "prefill"),
        ('{"prompt": ""}', "the prompt is empty"),
        ('{"prompt": "' + "The " * 200 + '"}', "the model takes 100 in all"),
    ],
)
def test_one_bad_line_is_set_aside_with_its_reason(
    tmp_path: Path, tiny: AnchorTokenizer, line: str | bytes, reason: str
) -> None:
    path = write(tmp_path, '{"id": "good", "prompt": "The cat"}', line)
    prompts, [bad] = read_prompts(path, tiny, 100)
    assert [prompt.id for prompt in prompts] == ["good"]
    assert bad.line == 2
    assert reason in bad.reason


@pytest.mark.parametrize(("lines", "reason"), [([], "empty"), (["nope"], "line 1: not JSON")])
def test_a_file_without_a_usable_prompt(
    tmp_path: Path, tiny: AnchorTokenizer, lines: list[str], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        read_prompts(write(tmp_path, *lines), tiny, 100)


def test_a_missing_file(tmp_path: Path, tiny: AnchorTokenizer) -> None:
    with pytest.raises(InputError, match=r"no\.jsonl: no such file"):
        read_prompts(tmp_path / "no.jsonl", tiny, 100)
