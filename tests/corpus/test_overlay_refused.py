"""Files that cannot carry an overlay, overlays of other files, and output that is there already."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from olmo_anchor.corpus.overlay_files import OverlayDir
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer
from tests.corpus.conftest import GOOD, run_overlay


class TestRefusedFiles:
    """A token file that cannot carry an overlay is refused whole; nothing is written."""

    def refuse(self, tokens: Path, annotations: Path, match: str, **options: Any) -> None:
        out = tokens.parent / "overlay"
        with pytest.raises(InputError, match=match):
            run_overlay(tokens, annotations, out, **options)
        assert not out.exists()

    def test_delimiter_in_a_document(
        self, write_tokens: Any, write_annotations: Any, docs: Any, tiny: AnchorTokenizer
    ) -> None:
        docs[1][0] = docs[1][1] = tiny.control.close
        docs[2][0] = tiny.control.open
        self.refuse(
            write_tokens([docs]),
            write_annotations([GOOD]),
            r"2 of 3 documents hold an annotation delimiter \(the first is document 1\)",
        )

    def test_bounds_that_disagree(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        a, b, c = map(len, docs)
        bounds = [[(0, a), (a, a + b + c)]]
        tokens = write_tokens([docs], bounds=bounds)
        self.refuse(tokens, write_annotations([GOOD]), "disagree about 1 document bounds")

    def test_document_without_a_token(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens = write_tokens([[docs[0], [], docs[1]]])
        self.refuse(tokens, write_annotations([GOOD]), "disagree about 1 document bounds")

    def test_no_end_of_text_at_the_end(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        docs[2].pop()
        self.refuse(
            write_tokens([docs]),
            write_annotations([GOOD]),
            "the last document has no end-of-text token",
        )

    def test_id_outside_the_vocabulary(
        self, write_tokens: Any, write_annotations: Any, docs: Any, tiny: AnchorTokenizer
    ) -> None:
        docs[0][0] = tiny.vocab_size
        self.refuse(
            write_tokens([docs]), write_annotations([GOOD]), f"holds the id {tiny.vocab_size}"
        )

    def test_tokens_that_changed(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens = write_tokens([docs])
        path = tokens / "token_ids_part_0000.npy"
        ids = np.fromfile(path, "<u2")
        ids[0] += 1
        ids.tofile(path)
        self.refuse(tokens, write_annotations([GOOD]), "changed since its manifest")

    def test_size_that_is_no_multiple_of_the_dtype(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens = write_tokens([docs])
        path = tokens / "token_ids_part_0000.npy"
        path.write_bytes(path.read_bytes()[:-1])
        self.refuse(tokens, write_annotations([GOOD]), "not a multiple of 2")

    def test_torn_bounds(self, write_tokens: Any, write_annotations: Any, docs: Any) -> None:
        tokens = write_tokens([docs])
        path = tokens / "token_ids_part_0000.csv.gz"
        path.write_bytes(path.read_bytes()[:-9])
        self.refuse(tokens, write_annotations([GOOD]), "cannot be read")
        with gzip.open(path, "wt") as file:
            file.write("start,end\n")
        self.refuse(tokens, tokens.parent / "annotations", ":1: not a row of start,end,id")

    def test_manifest_missing_or_torn(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        tokens, annotations = write_tokens([docs]), write_annotations([GOOD])
        path = tokens / "manifest.json"
        path.write_bytes(path.read_bytes()[:-20])
        self.refuse(tokens, annotations, "not a whole manifest")
        path.unlink()
        self.refuse(tokens, annotations, "unfinished")

    def test_annotations_of_other_tokens(
        self, write_tokens: Any, write_annotations: Any, docs: Any
    ) -> None:
        annotations = write_annotations([GOOD], tokens_manifest="0" * 64)
        self.refuse(write_tokens([docs]), annotations, "made for other tokens")

    def test_no_annotations(self, write_tokens: Any, write_annotations: Any, docs: Any) -> None:
        self.refuse(write_tokens([docs]), write_annotations([]), "holds no record")


def test_an_overlay_of_other_tokens_or_tokenizer_is_refused(
    write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
) -> None:
    tokens = write_tokens([docs])
    run_overlay(tokens, write_annotations([GOOD]), tmp_path / "overlay")
    other = write_tokens([docs[::-1]], folder=tmp_path / "other")
    with pytest.raises(InputError, match="belongs to another token file"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(other))
    more = write_tokens([docs, docs], folder=tmp_path / "more")
    with pytest.raises(InputError, match="made for 1 token files"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(more))
    manifest = orjson.loads((tokens / "manifest.json").read_bytes())
    manifest["extra"]["tokenizer_hash"] = "0" * 64
    (tokens / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(InputError, match="another tokenizer"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(tokens))


def test_an_overlay_with_other_delimiters_than_the_tokenizer_names_is_refused(
    write_tokens: Any,
    write_annotations: Any,
    docs: Any,
    tmp_path: Path,
    tiny: AnchorTokenizer,
    tiny_tokenizer_file: Path,
) -> None:
    tokens = write_tokens([docs])
    run_overlay(tokens, write_annotations([GOOD]), tmp_path / "overlay")
    other = AnchorTokenizer.load(
        tiny_tokenizer_file, delimiters=("<|im_start|>", "<|im_end|>"), layout="plain"
    )
    assert other.hash == tiny.hash
    same_ids = write_tokens([docs], folder=tmp_path / "other", tokenizer=other)
    with pytest.raises(InputError, match=r"<\|extra_id_1\|>.*<\|im_start\|>.*olmo-anchor overlay"):
        OverlayDir.open(tmp_path / "overlay", TokensDir.open(same_ids))


class TestExistingOutput:
    def test_is_refused_and_left_as_it_is(
        self, write_tokens: Any, write_annotations: Any, docs: Any, tmp_path: Path
    ) -> None:
        out = tmp_path / "overlay"
        out.mkdir()
        (out / "mine").write_text("kept")
        tokens, annotations = write_tokens([docs]), write_annotations([GOOD])
        with pytest.raises(InputError, match="left alone"):
            run_overlay(tokens, annotations, out)
        (tokens / "token_ids_part_0000.npy").write_bytes(b"\0\0" * sum(map(len, docs)))
        with pytest.raises(InputError):
            run_overlay(tokens, annotations, out, overwrite=True)
        assert [path.name for path in out.iterdir()] == ["mine"]

    def test_finished_parts_are_kept_on_resuming(
        self,
        write_tokens: Any,
        write_annotations: Any,
        docs: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tokens = write_tokens([docs, docs, docs])
        # A duplicate, and places that do not exist at every seam of two parts.
        places = [(part, doc) for part in range(3) for doc in (9, 0, 0, 2, 9)]
        places[5:5] = [(9, 0), (2, 9), (0, 0)]
        records = [{**GOOD, "part": part, "doc": doc} for part, doc in places]
        annotations = write_annotations(records)
        whole = run_overlay(tokens, annotations, tmp_path / "whole", max_rejected=1)
        assert whole.counts["annotations"] == 6
        assert whole.counts["rejected"] == 12

        out = tmp_path / "overlay"
        import olmo_anchor.corpus.overlay_part as module

        scan = module.scan_part

        def stop_at_the_last(part: Any, *rest: Any) -> Any:
            if part.index == 2:
                raise KeyboardInterrupt
            return scan(part, *rest)

        monkeypatch.setattr(module, "scan_part", stop_at_the_last)
        with pytest.raises(KeyboardInterrupt):
            run_overlay(tokens, annotations, out, max_rejected=1)
        monkeypatch.setattr(module, "scan_part", scan)
        with pytest.raises(InputError, match="--resume finishes it"):
            run_overlay(tokens, annotations, out)
        with pytest.raises(InputError, match=r"other settings or inputs \(max_annotation_tokens\)"):
            run_overlay(tokens, annotations, out, resume=True, max_annotation_tokens=9)
        kept = (out / "part-0000.ids.npy").stat().st_mtime_ns
        resumed = run_overlay(tokens, annotations, out, resume=True, max_rejected=1)

        assert (out / "part-0000.ids.npy").stat().st_mtime_ns == kept
        assert resumed.counts == whole.counts
        assert resumed.extra == whole.extra
        names = sorted(path.name for path in out.iterdir())
        assert names == sorted(path.name for path in (tmp_path / "whole").iterdir())
        for name in names:
            if name != "manifest.json":
                assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert run_overlay(tokens, annotations, out, resume=True).hash == resumed.hash
