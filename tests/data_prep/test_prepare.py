"""Each corpus is prepared from a few records in its own format, by what a user types."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from olmo_anchor.corpus.overlay_files import OverlayDir
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.data_prep.conftest import (
    ROOT,
    dolma,
    make_data,
    run,
    write_jsonl,
    write_parquet,
)

sys.path.insert(0, str(ROOT / "data_prep"))
import prepare

PREPARE = ROOT / "data_prep" / "prepare.py"
NINE = {
    "dclm": "0000/dclm-0000.json.zst",
    "reddit": "reddit/reddit-0000.json.gz",
    "tulu_flan": "tulu_flan/tulu_flan-0000.json.gz",
    "cc_news": "cc_news_head/cc_news-0000.json.gz",
    "books": "books/books-0000.json.gz",
    "wikiref": "wikiref_megawika/megawika-0000.json.gz",
    "wikipedia": "wiki/wiki-0000.json.gz",
    "openwebmath": "proof_pile_2-open_web_math/open-web-math-train-0000.json.gz",
    "pes2o": "pes2o/pes2o-0000.json.gz",
}
TEXTS = {"a": "The cat sat.\n\nOn the mat.", "b": "The dog ran.", "c": "To the cat."}


def documents(tokens: Path, tokenizer: AnchorTokenizer) -> list[str]:
    opened = TokensDir.open(tokens)
    ids = np.concatenate([np.fromfile(part.ids, opened.dtype) for part in opened.parts])
    ends = np.flatnonzero(ids == tokenizer.control.end_of_text)
    return [tokenizer.decode(one[:-1].tolist()) for one in np.split(ids, ends + 1)[:-1]]


@pytest.mark.slow
@pytest.mark.parametrize("corpus", sorted(NINE))
def test_a_source_of_the_pretraining_mixture(
    corpus: str, tiny: AnchorTokenizer, tiny_tokenizer_file: Path, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "raw" / NINE[corpus], dolma(TEXTS, corpus))
    make_data(corpus, tmp_path / "raw", tmp_path / "data", tiny_tokenizer_file, LIMIT=2)
    assert documents(tmp_path / "data" / corpus / "tokens", tiny) == [TEXTS["a"], TEXTS["b"]]


@pytest.mark.slow
def test_a_corpus_is_annotated_too_and_the_same_call_goes_on(
    tiny_tokenizer_file: Path, tmp_path: Path
) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    write_jsonl(raw / NINE["wikipedia"], dolma(TEXTS, "wikipedia"))
    make_data("wikipedia", raw, data, tiny_tokenizer_file, ANNOTATOR="keyword")
    out = data / "wikipedia"
    overlay = OverlayDir.open(out / "overlay", TokensDir.open(out / "tokens"))
    assert len(overlay.part(0).starts) - 1 == 4  # chunks
    written = (out / "tokens" / "manifest.json").stat().st_mtime_ns
    make_data("wikipedia", raw, data, tiny_tokenizer_file, ANNOTATOR="keyword")
    assert (out / "tokens" / "manifest.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_tulu3(tiny: AnchorTokenizer, tiny_tokenizer_file: Path, tmp_path: Path) -> None:
    turns = [
        ("user", "Where?"),
        ("assistant", "Here."),
        ("user", "Who?"),
        ("assistant", "The cat."),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    system = [{"role": "system", "content": "Be short."}, *messages[:2]]
    rows = [
        {"id": "ai2-adapt-dev/oasst1_0", "messages": messages, "source": "ai2-adapt-dev/oasst1"},
        {"id": "personahub_1", "messages": system, "source": "ai2-adapt-dev/personahub"},
    ]
    source = write_parquet(tmp_path / "raw" / "data" / "train-00000-of-00006.parquet", rows)
    make_data("tulu3", source.parent, tmp_path / "data", tiny_tokenizer_file)
    opened = TokensDir.open(tmp_path / "data" / "tulu3" / "tokens")
    ids = np.fromfile(opened.parts[0].ids, opened.dtype)
    assert opened.parts[0].mask is not None
    trained = ids[np.fromfile(opened.parts[0].mask, bool)].tolist()
    end = tiny.control.end_of_text
    assert trained == [*tiny.encode("The cat."), end, *tiny.encode("Here."), end]


@pytest.mark.slow
def test_your_own_files(tiny: AnchorTokenizer, tiny_tokenizer_file: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "d" / "x.jsonl", [{"id": "x", "text": "The mat."}])
    write_parquet(tmp_path / "d" / "deep" / "y.parquet", [{"id": "y", "text": "The cat."}])
    make_data("own_documents", tmp_path / "d", tmp_path / "data", tiny_tokenizer_file)
    found = documents(tmp_path / "data" / "own_documents" / "tokens", tiny)
    assert sorted(found) == ["The cat.", "The mat."]
    messages = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "The cat."}]
    chats = write_jsonl(tmp_path / "c.jsonl", [{"id": "1", "messages": messages}])
    make_data("own_conversations", chats, tmp_path / "data", tiny_tokenizer_file)
    assert TokensDir.open(tmp_path / "data" / "own_conversations" / "tokens").chat


# --- what is fetched ----------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}", folder
        serving.shutdown()


@pytest.mark.slow
def test_shards_are_fetched_once_and_a_stopped_call_goes_on(
    server: tuple[str, Path], tiny: AnchorTokenizer, tiny_tokenizer_file: Path, tmp_path: Path
) -> None:
    address, folder = server
    here = tmp_path / "data_prep"
    shutil.copytree(ROOT / "data_prep", here)
    text = (here / "wikipedia.yaml").read_text()
    (here / "wikipedia.yaml").write_text(text.replace("https://olmo-data.org/dolma-v1_7", address))
    write_jsonl(folder / "wiki" / "wiki-0000.json.gz", dolma({"a": "The cat."}, "wiki"))

    data = tmp_path / "data"
    call = ("python", here / "prepare.py", "wikipedia", "--data", data)
    stopped = run(*call, "--tokenizer", tiny_tokenizer_file, code=22)  # curl's for a 404
    assert "wiki-0001.json.gz" in stopped.stderr
    assert "the same call goes on" in stopped.stderr
    assert not (data / "wikipedia" / "tokens").exists()

    write_jsonl(folder / "wiki" / "wiki-0001.json.gz", dolma({"b": "The dog."}, "wiki"))
    (folder / "wiki" / "wiki-0000.json.gz").unlink()  # it is not asked for again
    run(*call, "--tokenizer", tiny_tokenizer_file)
    assert documents(data / "wikipedia" / "tokens", tiny) == ["The cat.", "The dog."]


def test_ranges_are_those_of_curl() -> None:
    assert prepare.expand("x/a[08-10].gz") == ["x/a08.gz", "x/a09.gz", "x/a10.gz"]
    assert prepare.expand("[0-1]/[3-4]") == ["0/3", "0/4", "1/3", "1/4"]
    assert prepare.expand("plain") == ["plain"]


def test_tokens_choose_shards_spread_over_all() -> None:
    news = prepare.Corpus.load("cc_news")
    assert len(news.files(None)) == 9
    # 14.3 billion tokens in nine: three hold 4.77.
    assert [prepare.local_name(url) for url in news.files(4.7e9)] == [
        "cc_news_head/cc_news-0000.json.gz",
        "cc_news_head/cc_news-0003.json.gz",
        "cc_news_middle/cc_news-0001.json.gz",
    ]
    assert len(news.files(1)) == 1
    assert news.files(1e15) == news.files(None)


def test_shards_do_not_overwrite_one_another() -> None:
    for name in prepare.names():
        files = [prepare.local_name(url) for url in prepare.Corpus.load(name).files(None)]
        assert len(set(files)) == len(files), name


# --- what is said -------------------------------------------------------------------------------


def test_every_corpus_says_what_it_takes() -> None:
    listed = run("python", PREPARE, "--list").stdout
    assert set(prepare.names()) >= {
        *NINE,
        *("tulu3", "simplestories", "wildchat", "own_documents", "own_conversations"),
    }
    for name in prepare.names():
        corpus = prepare.Corpus.load(name)
        for stated in (corpus.about, corpus.licence, corpus.disk, corpus.time, corpus.page):
            assert stated.strip(), name
            assert " ".join(stated.split()) in listed, name
        assert {"tokens", "download"} & set(corpus.size) or not corpus.urls, name


def test_a_dry_run_writes_nothing_and_says_everything(tmp_path: Path) -> None:
    said = run(
        *("python", PREPARE, "books", "--data", tmp_path / "data", "--tokens", "1e9"),
        *("--annotator", "vllm --tensor-parallel-size 2", "--dry-run"),
    ).stdout
    raw = tmp_path / "data" / "books" / "raw" / "books" / "books-0000.json.gz"
    assert f"--output {raw}.part https://olmo-data.org/dolma-v1_7/books/books-0000.json.gz" in said
    assert f"$ olmo-anchor tokenize {raw} --tokenizer allenai/dolma2-tokenizer" in said
    assert "--annotator vllm --tensor-parallel-size 2 --out" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("nothing",), "no corpus 'nothing' in"),
        (("own_documents",), "has no source of its own; give one with SOURCE="),
        (("books", "--source", "x", "--tokens", "5"), "for files of your own give --limit"),
        (("simplestories", "--source", "x", "--annotator", "keyword"), "its own annotations"),
        (("pretraining_mixture",), "no corpus 'pretraining_mixture'"),
    ],
)
def test_wrong_calls(call: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert said in run("python", PREPARE, *call, "--data", tmp_path / "data", code=2).stderr
    assert not (tmp_path / "data").exists()


def test_a_step_that_fails_stops_the_rest(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    empty = tmp_path / "raw"
    empty.mkdir()
    call = ("books", "--source", empty, "--data", tmp_path, "--tokenizer", tiny_tokenizer_file)
    failed = run("python", PREPARE, *call, "--annotator", "keyword", code=2)
    assert "Stopped at: olmo-anchor tokenize" in failed.stderr
    assert "annotate" not in failed.stdout
