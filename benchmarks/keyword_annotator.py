"""How fast the keyword annotator is beside YAKE alone, on the same chunks, in CPU time of one core.

    OMP_NUM_THREADS=1 python benchmarks/keyword_annotator.py BOOKS.jsonl [--mb 10]

BOOKS.jsonl is what ``olmo-anchor tokenize`` reads; its paragraphs are the chunks. YAKE gives
key phrases only, and is run on a tenth of them. Reading and cutting the text is not counted.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yake

from olmo_anchor.annotate.base import Chunk
from olmo_anchor.annotate.keyword import KeywordAnnotator

_CONTEXT_CHARS = 20_000


def chunks(path: Path, megabytes: float) -> Iterator[Chunk]:
    """The paragraphs of documents spread over the file, until there is text enough."""
    texts = [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines() if line]
    size = sum(len(text.encode()) for text in texts)
    step = max(1, int(size / (megabytes * 1e6)))
    for doc, text in enumerate(texts[::step]):
        for number, part in enumerate(text.split("\n\n")):
            yield Chunk(0, doc, None, number, part, text[:_CONTEXT_CHARS])


def rate(work: Callable[[list[Chunk]], object], found: list[Chunk]) -> float:
    """MB of UTF-8 text a minute of CPU time, after a warm-up that loads the models."""
    work(found[:20])
    start = time.process_time()
    work(found)
    spent = time.process_time() - start
    return sum(len(chunk.text.encode()) for chunk in found) / 1e6 / spent * 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", type=Path)
    parser.add_argument("--mb", type=float, default=10.0, help="megabytes of text to annotate")
    options = parser.parse_args()

    found = list(chunks(options.books, options.mb))
    extractor = yake.KeywordExtractor(lan="en", n=2, top=12, dedup_lim=0.8)
    alone = rate(lambda cs: [extractor.extract_keywords(c.text[:4000]) for c in cs], found[::10])
    ours = rate(KeywordAnnotator().annotate, found)
    print(f"chunks: {len(found):,}, {sum(len(c.text.encode()) for c in found) / 1e6:.1f} MB")
    print(f"YAKE alone:        {alone:6.1f} MB per CPU-minute")
    print(f"keyword annotator: {ours:6.1f} MB per CPU-minute")
    print(f"ratio: {ours / alone:.2f}")


if __name__ == "__main__":
    main()
