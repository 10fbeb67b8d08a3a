"""Annotations beside their own text, found by a regular expression, and only the right text."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.errors import InputError
from tests.quality.conftest import Run

TEXTS = ["The cat.\n\nThe mat.", "The dog ran.", "The\n\ncat\n\nsat"]
GIVEN = {
    (0, 0): [("topic", "cat"), ("entity", "Tom")],
    (0, 1): [("topic", "mat")],
    (1, 0): [("topic", "dog")],
    (2, 1): [("topic", "cat")],
}


@pytest.fixture
def folder(tokenize: Any, annotate: Any) -> Path:
    made: Path = annotate(tokenize(TEXTS), GIVEN)
    return made


def titles(said: str) -> list[str]:
    return re.findall(r"doc-\d: chunk \d", said)


def test_text_stands_under_its_annotation_or_beside_it(run: Run, folder: Path) -> None:
    narrow = run("show", folder, "--limit", 2).splitlines()
    assert [line.rstrip() for line in narrow] == [
        "doc-0: chunk 0 of document 0 of part 0",
        "topic:cat",
        "entity:Tom",
        "    The cat.",
        "",
        "doc-0: chunk 1 of document 0 of part 0",
        "topic:mat",
        "    The mat.",
        "",
        "the first 2 annotated chunks; --limit shows more, --seed others",
    ]
    wide = run("show", folder, "--limit", 1, columns=120)
    assert re.search(r"^topic:cat +The cat\. *$", wide, re.MULTILINE)


def test_grep_looks_at_tags(run: Run, folder: Path) -> None:
    said = run("show", folder, "--grep", "topic:[cm]at")
    assert titles(said) == ["doc-0: chunk 0", "doc-0: chunk 1", "doc-2: chunk 1"]
    assert "⟦topic:cat⟧" in said
    assert "3 of 3 annotated chunks that match" in said
    assert "no annotated chunks that match" in run("show", folder, "--grep", "tom")
    assert titles(run("show", folder, "--grep", "tom", "-i")) == ["doc-0: chunk 0"]
    assert titles(run("show", folder, "--key", "entity", "--grep", "Tom")) == ["doc-0: chunk 0"]
    assert "no annotated" in run("show", folder, "--key", "entity", "--grep", "cat")


def test_grep_looks_at_text(run: Run, folder: Path) -> None:
    said = run("show", folder, "--grep", "The", "--in", "text")
    assert titles(said) == ["doc-0: chunk 0", "doc-0: chunk 1", "doc-1: chunk 0"]
    assert "    ⟦The⟧ dog ran." in said
    either = run("show", folder, "--grep", "dog|Tom", "--in", "either")
    assert titles(either) == ["doc-0: chunk 0", "doc-1: chunk 0"]


def test_a_match_far_inside_a_long_text_is_shown(run: Run, tokenize: Any, annotate: Any) -> None:
    tokens = tokenize(["The cat ran. " * 40 + "The dog sat. " + "The cat ran. " * 40])
    folder = annotate(tokens, {(0, 0): [("topic", "cat")]})
    said = run("show", folder, "--grep", "dog", "--in", "text", "--max-chars", 40)
    assert "The ⟦dog⟧ sat." in said
    assert "(514 characters) ..." in said
    assert "more characters: --max-chars" in said


def test_a_seed_picks_from_all_and_in_order(run: Run, folder: Path) -> None:
    picks = {tuple(titles(run("show", folder, "--limit", 2, "--seed", s))) for s in range(40)}
    assert len(picks) == 6  # every pair of four
    assert all(list(pair) == sorted(pair) for pair in picks)
    one = run("show", folder, "--limit", 2, "--seed", 7)
    assert one == run("show", folder, "--limit", 2, "--seed", 7)
    assert "2 of 4 annotated chunks" in one


def test_rejected_chunks_with_reason_and_text(run: Run, tokenize: Any, annotate: Any) -> None:
    given = {**GIVEN, (2, 2): [("mood", "x")], (9, 0): [("topic", "cat")]}
    folder = annotate(tokenize(TEXTS), given, max_rejected=1.0)
    said = " ".join(run("show", folder, "--rejected").split())
    assert "doc-2: chunk 2 of document 2 of part 0 rejected: the key 'mood' is not in" in said
    assert "'paper' sat " in said
    assert "line 6 rejected: there is no such chunk" in said
    assert "2 of 2 rejected chunks" in said
    assert "1 of 1 rejected chunks that match" in run("show", folder, "--rejected", "--grep", "moo")
    with pytest.raises(InputError, match="--key and --rejected exclude each other"):
        run("show", folder, "--rejected", "--key", "topic")


def test_another_text_is_told(
    run: Run, folder: Path, tokenize: Any, tmp_path: Path, capsys: Any
) -> None:
    shutil.move(tmp_path / "tokens", tmp_path / "old")
    other = tokenize(["The cat.\n\nThe dog.", "The dog ran."])
    shutil.move(other, tmp_path / "new")
    with pytest.raises(InputError, match="no such folder; name the TOKENS_DIR"):
        run("show", folder)
    assert "not the" not in run("show", folder, "--tokens", tmp_path / "old")
    said = run("show", folder, "--tokens", tmp_path / "new").splitlines()
    lines = [line.strip() for line in said]
    assert lines.count("this is not the text that was annotated") == 1
    at = lines.index("this is not the text that was annotated")
    assert lines[at + 1] == "The dog."
    assert lines.count("there is no such chunk in these tokens") == 1


def test_wrong_options_are_told(run: Run, folder: Path) -> None:
    with pytest.raises(InputError, match="not a regular expression: missing"):
        run("show", folder, "--grep", "(")
    with pytest.raises(InputError, match="has no key 'mood'; its schema has topic"):
        run("show", folder, "--key", "mood")


def test_control_characters_do_not_drive_the_terminal(
    run: Run, tokenize: Any, annotate: Any
) -> None:
    folder = annotate(tokenize(["The \x1b[2Jcat\x9b."]), {(0, 0): [("topic", "a\x1b[2Jb")]})
    said = run("show", folder)
    assert "\x1b" not in said
    assert "\x9b" not in said
    assert "The \ufffd[2Jcat\ufffd." in said


def test_chunks_of_conversations_are_responses(run: Run, tokenize: Any, annotate: Any) -> None:
    turns = [{"role": "user", "content": "cat?"}, {"role": "assistant", "content": "The cat."}]
    folder = annotate(tokenize([turns], chat=True), {(0, 0): [("topic", "cat")]})
    assert "    The cat." in run("show", folder)
