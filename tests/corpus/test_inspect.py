"""What inspect shows of every token, on the terminal and as a page."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmo_anchor.annotation import Annotation
from olmo_anchor.corpus.inspect import InspectConfig
from olmo_anchor.corpus.inspect_view import spell
from olmo_anchor.corpus.materialise import MaterialiseConfig
from olmo_anchor.corpus.overlay import OverlayConfig
from olmo_anchor.errors import InputError
from olmo_anchor.spans import roles
from olmo_anchor.tokenizer import AnchorTokenizer


@pytest.fixture
def folders(
    write_tokens: Any, write_annotations: Any, tiny: AnchorTokenizer, tmp_path: Path
) -> tuple[Path, Path]:
    """Three conversations with an annotation before the trained answer."""
    end = tiny.control.end_of_text
    prompt, answer = tiny.encode("a <cat>?\n"), tiny.encode("The cat & the dog é.")
    documents = [[*prompt, *answer, end]] * 3
    masks = [[0] * len(prompt) + [1] * (len(answer) + 1)] * 3
    records = [
        {"part": 0, "doc": doc, "chunk": 0, "tags": [["topic", "cat"], ["style", f"n{doc}"]]}
        for doc in range(3)
    ]
    tokens = write_tokens([documents], [masks])
    overlay = tmp_path / "overlay"
    OverlayConfig(tokens=tokens, annotations=write_annotations(records), out=overlay).run()
    return tokens, overlay


def shown(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    InspectConfig(**options).run()
    return capsys.readouterr().out


def test_trained_tokens_stand_in_brackets_without_colours(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, overlay = folders
    out = shown(capsys, tokens=tokens, overlay=overlay, docs=1, value_only_fraction=0.0)
    document = " ".join(out.split())
    assert (
        "a <cat>?↵ <|extra_id_1|>topic:cat↵ style:n0<|extra_id_2|> "
        "⟦The cat & the dog é.<|endoftext|>⟧" in document
    )
    assert "policy anchored" in out
    assert "doc-0-0" in out
    assert "doc-0-1" not in out


def test_in_a_value_only_document_the_values_are_outside_the_brackets(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, overlay = folders
    out = shown(capsys, tokens=tokens, overlay=overlay, docs=1, value_only_fraction=1.0)
    document = " ".join(out.split())
    assert "⟦<|extra_id_1|>topic:⟧cat⟦↵ style:⟧n0⟦<|extra_id_2|>" in document
    assert "value-only" in out


def test_a_trained_opening_delimiter_is_inside_the_brackets(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, overlay = folders
    options = {"docs": 1, "value_only_fraction": 0.0, "train_opening": True}
    out = shown(capsys, tokens=tokens, overlay=overlay, **options)
    assert "⟦<|extra_id_1|>⟧topic:cat↵ style:n0<|extra_id_2|>" in " ".join(out.split())


def test_a_value_that_the_prompt_names_is_inside_the_brackets(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, overlay = folders
    options = {"docs": 1, "value_only_fraction": 0.0, "policy": "anchored_given"}
    out = shown(capsys, tokens=tokens, overlay=overlay, **options)
    assert "<|extra_id_1|>topic:⟦cat⟧↵ style:n0<|extra_id_2|>" in " ".join(out.split())


def test_without_an_overlay_there_are_no_annotations(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(capsys, tokens=folders[0])
    assert "extra_id_1" not in out
    assert "no annotations: name them with --overlay" in " ".join(out.split())


def test_documents_are_picked_by_number_id_or_seed(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, _ = folders
    out = shown(capsys, tokens=tokens, doc=("doc-0-2", "1"))
    assert re.findall(r"^doc-0-\d", out, re.M) == ["doc-0-2", "doc-0-1"]
    once = shown(capsys, tokens=tokens, docs=2, seed=4)
    assert once == shown(capsys, tokens=tokens, docs=2, seed=4)
    assert len(re.findall(r"^doc-0-\d", once, re.M)) == 2
    with pytest.raises(InputError, match="no document '3'"):
        shown(capsys, tokens=tokens, doc=("3",))


def test_a_materialised_folder_shows_the_masks_that_were_written(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tokens, overlay = folders
    out = tmp_path / "stock"
    MaterialiseConfig(tokens=tokens, overlay=overlay, out=out, policy="unmasked").run()
    text = " ".join(shown(capsys, tokens=out, docs=1).split())
    assert "policy unmasked" in text
    assert "⟦<|extra_id_1|>topic:cat" in text
    with pytest.raises(InputError, match="written already, under policy unmasked"):
        shown(capsys, tokens=out, policy="full")


def test_control_tokens_have_a_row_of_their_own(
    folders: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    tiny: AnchorTokenizer,
    tmp_path: Path,
) -> None:
    tokens, overlay = folders
    out = shown(capsys, tokens=tokens, overlay=overlay, docs=2, value_only_fraction=0.0)
    prompt, answer = len(tiny.encode("a <cat>?\n")), len(tiny.encode("The cat & the dog é."))
    rows = {name: line.split() for line in out.splitlines() for name in line.split()[:1]}
    assert rows["text"][1::2] == [str(2 * (prompt + answer)), str(2 * answer)]
    assert rows["control"][1::2] == ["2", "2"]
    assert sum(int(rows[name][1]) for name in ("text", "delimiter", "key", "value", "control")) == (
        int(rows["all"][1])
    )
    path = tmp_path / "look.html"
    InspectConfig(tokens=tokens, overlay=overlay, docs=2, html=path).run()
    assert re.search(r'class="dot c"></span>control</th><td>2</td>.*?<td>2</td>', path.read_text())


class _Tokens(HTMLParser):
    """Collects (text, classes, ids) of the tokens of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[list[str]] = []
        self.loads: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value for key in ("src", "href") if (value := found.get(key))]
        self._inside = self._inside or "data-i" in found
        if "data-i" in found:
            self.tokens.append(["", found.get("class") or "", found["data-i"] or ""])

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "b"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.tokens[-1][0] += data


def test_the_page_holds_every_token_and_loads_nothing(
    folders: tuple[Path, Path], tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    tokens, overlay = folders
    path = tmp_path / "look.html"
    InspectConfig(tokens=tokens, overlay=overlay, docs=1, html=path, value_only_fraction=0.0).run()
    parser = _Tokens()
    parser.feed(path.read_text())
    ids = [int(one) for _, _, ids in parser.tokens for one in ids.split()]
    annotation = tiny.encode_annotation(Annotation.of(("topic", "cat"), ("style", "n0")))
    prompt, answer = tiny.encode("a <cat>?\n"), tiny.encode("The cat & the dog é.")
    assert ids == [*prompt, *annotation, *answer, tiny.control.end_of_text]
    assert "".join(text for text, _, _ in parser.tokens) == tiny.decode(ids)
    trained = [int(one) for _, cls, ids in parser.tokens if " m" not in cls for one in ids.split()]
    assert trained == [*answer, tiny.control.end_of_text]
    assert parser.loads == []
    assert 'id="edges">' in path.read_text()
    InspectConfig(tokens=tokens, html=path, boundaries=True).run()
    assert 'id="edges" checked>' in path.read_text()
    assert "<!--" not in unescape(path.read_text()).replace("<!doctype", "")


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_spelled_tokens_join_to_the_decoded_text(tiny: AnchorTokenizer, text: str) -> None:
    import numpy as np

    ids = np.array([*tiny.encode(text), tiny.control.end_of_text])
    role_ids = roles(ids, tiny.control, inside=False)
    is_control = ids == tiny.control.end_of_text
    tokens = spell(ids, role_ids, np.ones(len(ids), bool), is_control, tiny)
    assert "".join(token.text for token in tokens) == tiny.decode(ids)
    assert [one for token in tokens for one in token.ids] == ids.tolist()
    assert tokens[-1].kind == "control"
