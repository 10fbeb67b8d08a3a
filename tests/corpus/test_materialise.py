"""Materialised files against the overlay source, both read by OLMo-core itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from olmo_core.data import NumpyPackedFSLDatasetConfig, TokenizerConfig
from olmo_core.data.collator import DataCollator
from olmo_core.data.composable import (
    ComposableDataLoaderConfig,
    NumpyDocumentSourceConfig,
    PackingInstanceSourceConfig,
)
from olmo_core.data.types import NumpyDatasetDType

from olmo_anchor.corpus.materialise import MaterialiseConfig
from olmo_anchor.corpus.overlay import OverlayConfig
from olmo_anchor.corpus.overlay_files import OverlayDir
from olmo_anchor.corpus.tokens import TokensDir
from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.tokenizer import AnchorTokenizer
from olmo_anchor.training.collator import AnchorCollator
from olmo_anchor.training.source import InterleavedDocumentSourceConfig

LENGTH = 64


@pytest.fixture
def folders(
    write_tokens: Any, write_annotations: Any, tiny: AnchorTokenizer, tmp_path: Path
) -> tuple[Path, Path]:
    """Two parts of conversations, most with an annotation, and their overlay."""
    rng = np.random.default_rng(0)
    end = tiny.control.end_of_text
    parts, masks, records = [], [], []
    for part in range(2):
        documents, targets = [], []
        for doc in range(20):
            prompt, answer = rng.integers(1, 12, 2).tolist()
            documents.append([*rng.integers(10, 200, prompt + answer).tolist(), end])
            targets.append([0] * prompt + [1] * (answer + 1))
            if doc % 5:
                tags = [["topic", "cat"], ["name", f"the {doc}"]][: 1 + doc % 2]
                records.append({"part": part, "doc": doc, "chunk": 0, "tags": tags})
        parts.append(documents)
        masks.append(targets)
    tokens = write_tokens(parts, masks)
    annotations = write_annotations(records, schema={"keys": ["topic", "name"]})
    out = tmp_path / "overlay"
    OverlayConfig(tokens=tokens, annotations=annotations, out=out).run()
    return tokens, out


def tokenizer_config(tiny: AnchorTokenizer) -> TokenizerConfig:
    return TokenizerConfig(
        vocab_size=tiny.vocab_size, eos_token_id=tiny.control.end_of_text, pad_token_id=tiny.pad_id
    )


def stock_paths(folder: Path, kind: str) -> list[str]:
    return sorted(str(path) for path in folder.glob(f"{kind}_part_*.npy"))


@pytest.mark.parametrize(
    ("policy", "opening"),
    [(None, False), *((policy, False) for policy in MaskPolicy), (MaskPolicy.anchored, True)],
)
def test_stock_sources_and_the_overlay_source_give_equal_batches(
    folders: tuple[Path, Path],
    tiny: AnchorTokenizer,
    tmp_path: Path,
    policy: MaskPolicy | None,
    opening: bool,
) -> None:
    tokens, overlay = folders
    out = tmp_path / "stock"
    decided = {"value_only_fraction": 0.4, "seed": 3, "train_opening": opening}
    MaterialiseConfig(tokens=tokens, overlay=overlay, out=out, policy=policy, **decided).run()
    config = tokenizer_config(tiny)
    stock = NumpyDocumentSourceConfig(
        source_paths=stock_paths(out, "token_ids"),
        label_mask_paths=stock_paths(out, "labels_mask"),
        tokenizer=config,
        dtype=NumpyDatasetDType.uint16,
    )
    ours = InterleavedDocumentSourceConfig(tokens=str(tokens), overlay=str(overlay))
    anchor = AnchorCollator(
        pad_token_id=tiny.pad_id,
        control=tiny.control,
        policy=policy or MaskPolicy.anchored,
        **decided,
        pieces=tiny.pieces(),
    )

    def batches(source: Any, collator: DataCollator, name: str) -> list[dict[str, Any]]:
        instances = PackingInstanceSourceConfig(
            sources=[source], sequence_length=LENGTH, tokenizer=config
        ).build(tmp_path / name)
        loader = ComposableDataLoaderConfig(
            tokenizer=config, global_batch_size=2 * LENGTH, work_dir=str(tmp_path / name), seed=1
        ).build(instances, collator=collator)
        loader.reshuffle(epoch=1)
        return list(loader)

    one = batches(stock, DataCollator(pad_token_id=tiny.pad_id), "one")
    two = batches(ours, anchor, "two")
    assert len(one) == len(two) > 5
    for a, b in zip(one, two, strict=True):
        assert (a["input_ids"] == b["input_ids"]).all()
        assert (a["label_mask"] == b["label_mask"]).all()


def test_the_packed_dataset_of_olmo_core_reads_it(
    folders: tuple[Path, Path], tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    tokens, overlay = folders
    out = tmp_path / "stock"
    manifest = MaterialiseConfig(tokens=tokens, overlay=overlay, out=out).run()
    dataset = NumpyPackedFSLDatasetConfig(
        paths=stock_paths(out, "token_ids"),
        label_mask_paths=stock_paths(out, "labels_mask"),
        tokenizer=tokenizer_config(tiny),
        dtype=NumpyDatasetDType.uint16,
        sequence_length=LENGTH,
        work_dir=str(tmp_path / "work"),
    ).build()
    dataset.prepare()
    items = [dataset[k] for k in range(len(dataset))]
    held = sum(int((item["input_ids"] != tiny.pad_id).sum()) for item in items)
    assert held == manifest.counts["tokens"]
    assert sum(int(i["label_mask"].sum()) for i in items) == manifest.counts["trained_tokens"]


def test_the_counts_add_up_and_the_folder_opens(folders: tuple[Path, Path], tmp_path: Path) -> None:
    tokens, overlay = folders
    out = tmp_path / "stock"
    manifest = MaterialiseConfig(tokens=tokens, overlay=overlay, out=out).run()
    source, made = TokensDir.open(tokens), TokensDir.open(out)
    woven = OverlayDir.open(overlay, source)
    assert made.interleaved
    assert made.tokens == source.tokens + woven.manifest.counts["annotation_tokens"]
    assert made.documents == source.documents == 40
    assert made.tokenizer().hash == source.tokenizer_hash
    assert manifest.extra["policy"] == "anchored"
    names = [block.names for part in made.parts for block in part.blocks()]
    assert names == [block.names for part in source.parts for block in part.blocks()]


def test_training_does_not_begin_on_files_that_changed(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    tokens, overlay = folders
    out = tmp_path / "stock"
    MaterialiseConfig(tokens=tokens, overlay=overlay, out=out).run()
    config = InterleavedDocumentSourceConfig(tokens=str(out))
    assert len(config.build(tmp_path / "work")) == 2
    mask = out / "labels_mask_part_0001.npy"
    mask.write_bytes(bytes(mask.stat().st_size))
    with pytest.raises(InputError, match=r"labels_mask_part_0001.*olmo-anchor materialise"):
        config.build(tmp_path / "work")


def test_a_tokenizer_that_names_other_delimiters_is_not_its_own(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    tokens, overlay = folders
    out = tmp_path / "stock"
    MaterialiseConfig(tokens=tokens, overlay=overlay, out=out).run()
    names = out / "tokenizer" / "tokenizer_anchor.json"
    names.write_text(names.read_text().replace("<|extra_id_2|>", "<|im_end|>"))
    with pytest.raises(InputError, match=r"<\|im_end\|>.*<\|extra_id_2\|>"):
        TokensDir.open(out).tokenizer()


def test_conversations_without_an_annotation_are_trained_on_request(
    write_tokens: Any, write_annotations: Any, tiny: AnchorTokenizer, tmp_path: Path
) -> None:
    prompt, answer = tiny.encode("cat?\n"), [*tiny.encode("A cat."), tiny.control.end_of_text]
    mask = [0] * len(prompt) + [1] * len(answer)
    tokens = write_tokens([[[*prompt, *answer]] * 3], [[mask] * 3])
    records = [{"part": 0, "doc": 1, "chunk": 0, "tags": [["topic", "cat"]]}]
    overlay = tmp_path / "overlay"
    OverlayConfig(tokens=tokens, annotations=write_annotations(records), out=overlay).run()
    trained = {}
    for unannotated in ("leave_out", "train"):
        out = tmp_path / unannotated
        options = {"tokens": tokens, "overlay": overlay, "unannotated": unannotated}
        made = MaterialiseConfig(out=out, value_only_fraction=0.0, **options).run()
        trained[unannotated] = made.counts["trained_tokens"]
        assert InterleavedDocumentSourceConfig(tokens=str(out)).build(tmp_path / "work")
        with pytest.raises(InputError, match="its label masks are written already"):
            InterleavedDocumentSourceConfig(tokens=str(out), unannotated="train").open()
    assert trained == {"leave_out": len(answer), "train": 3 * len(answer)}


def test_no_overlay_can_be_laid_over_it(
    folders: tuple[Path, Path], tmp_path: Path, write_annotations: Any
) -> None:
    tokens, overlay = folders
    MaterialiseConfig(tokens=tokens, overlay=overlay, out=tmp_path / "stock").run()
    config = OverlayConfig(
        tokens=tmp_path / "stock", annotations=tmp_path / "annotations", out=tmp_path / "again"
    )
    with pytest.raises(InputError, match="has its annotations in it already"):
        config.run()


def test_finished_parts_are_kept_on_resuming(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, overlay = folders
    whole = MaterialiseConfig(tokens=tokens, overlay=overlay, out=tmp_path / "whole").run()
    out = tmp_path / "stock"
    part = MaterialiseConfig._part

    def stop_at_the_second(self: Any, which: Any, *rest: Any) -> Any:
        if which.index == 1:
            raise KeyboardInterrupt
        return part(self, which, *rest)

    monkeypatch.setattr(MaterialiseConfig, "_part", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        MaterialiseConfig(tokens=tokens, overlay=overlay, out=out).run()
    monkeypatch.setattr(MaterialiseConfig, "_part", part)
    with pytest.raises(InputError, match=r"other settings or inputs \(.*seed.*\)"):
        MaterialiseConfig(tokens=tokens, overlay=overlay, out=out, resume=True, seed=1).run()
    resumed = MaterialiseConfig(tokens=tokens, overlay=overlay, out=out, resume=True).run()
    assert resumed.extra == whole.extra
    assert sorted(p.name for p in out.iterdir()) == sorted(
        p.name for p in (tmp_path / "whole").iterdir()
    )


def test_an_input_is_never_the_output(folders: tuple[Path, Path]) -> None:
    tokens, overlay = folders
    with pytest.raises(InputError, match="is an input"):
        MaterialiseConfig(tokens=tokens, overlay=overlay, out=tokens, overwrite=True).run()
    assert TokensDir.open(tokens).documents == 40
