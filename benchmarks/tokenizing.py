"""What tokenizing costs end to end, beside ``dolma tokens``, datatrove and the raw tokenizers.

    make bench-tokenize DOCUMENTS=books.jsonl TOKENIZER=tokenizer.json

Every command reads the same files, which hold the documents of DOCUMENTS again and again under new
ids, and is a process of its own; what it costs is the CPU time of the process and all that it
started, start-up included. Of the raw tokenizers only the encoding is counted, of texts that were
just read: no start-up, no reading, no writing. gigatoken remembers words: repeated documents are to
its advantage, raw and in ours, so ``raw, first pass`` tells what it does with new ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

FILES = 4

OURS = """
import sys
for absent in {absent!r}:
    sys.modules[absent] = None
from olmo_anchor.cli import main
sys.argv[1:] = {arguments!r}
main()
"""

DATATROVE = """
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
LocalPipelineExecutor(
    [
        JsonlReader({documents!r}),
        DocumentTokenizer(
            {out!r},
            tokenizer_name_or_path={tokenizer!r},
            eos_token="<|endoftext|>",
            shuffle_documents=False,
        ),
    ],
    tasks=1,
    logging_dir={out!r} + "/logs",
).run()
"""

RAW = """
import time
from itertools import islice
from pathlib import Path
import orjson
from olmo_anchor import encoders
from olmo_anchor.tokenizer import AnchorTokenizer
tokenizer = AnchorTokenizer.load(Path({tokenizer!r}))
encoder = getattr(encoders, {kind!r})(tokenizer.text_encoder.raw)
seconds = size = 0
lines = (line for file in sorted(Path({documents!r}).iterdir()) for line in file.open("rb"))
lines = islice(lines, {limit!r})
while texts := [orjson.loads(line)["text"] for line in islice(lines, 64)]:
    size += sum(len(text.encode()) for text in texts)
    start = time.process_time()
    encoder.encode_batch(texts)
    seconds += time.process_time() - start
print(seconds, size / 1e6)
"""


@dataclass
class Cost:
    """:param peak: MB of the largest process."""

    name: str
    seconds: float
    megabytes: float
    peak: float | None = None

    @property
    def rate(self) -> float:
        return self.megabytes / self.seconds


def repeat(documents: Path, folder: Path, megabytes: float) -> tuple[float, int]:
    """Write the documents as often as makes so many MB; the MB of text, and documents in a copy."""
    records = [json.loads(line) for line in documents.read_text("utf-8").splitlines() if line]
    size = sum(len(record["text"].encode()) for record in records) / 1e6
    copies = max(1, round(megabytes / size))
    folder.mkdir()
    total = copies * len(records)
    for number in range(FILES):
        with (folder / f"part-{number}.jsonl").open("w", encoding="utf-8") as file:
            for at in range(number * total // FILES, (number + 1) * total // FILES):
                copy, k = divmod(at, len(records))
                line = {"id": f"{copy}-{k}", "text": records[k]["text"], "source": "benchmark"}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return size * copies, len(records)


def measure(name: str, command: list[str], megabytes: float) -> Cost:
    environment = {
        **os.environ,
        "TOKENIZERS_PARALLELISM": "false",
        "RAYON_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{name} failed:\n{log.read().decode('utf-8', 'replace')[-3000:]}")
    return Cost(name, usage.ru_utime + usage.ru_stime, megabytes, usage.ru_maxrss / 1024)


def raw(name: str, kind: str, tokenizer: Path, documents: Path, limit: int | None) -> Cost:
    script = RAW.format(tokenizer=str(tokenizer), kind=kind, documents=str(documents), limit=limit)
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, env=environment
    )
    seconds, megabytes = map(float, done.stdout.split())
    return Cost(name, seconds, megabytes)


def ours(
    name: str, absent: list[str], tokenizer: Path, documents: Path, out: Path, mb: float, *more: str
) -> Cost:
    arguments = ["tokenize", str(documents), "--tokenizer", str(tokenizer), "--out", str(out)]
    script = OURS.format(absent=absent, arguments=[*arguments, *more])
    return measure(name, [sys.executable, "-c", script], mb)


def peers(options: argparse.Namespace, documents: Path, out: Path, mb: float) -> list[Cost]:
    tokenizer = str(options.tokenizer.resolve())
    found = []
    if options.dolma_python:
        stored = json.loads(options.tokenizer.read_text("utf-8"))
        ids = {token["content"]: token["id"] for token in stored["added_tokens"]}
        command = [
            *(str(options.dolma_python.with_name("dolma")), "tokens"),
            *("--documents", f"{documents}/*.jsonl", "--destination", f"{out}/dolma"),
            *("--tokenizer.name_or_path", tokenizer, "--dtype", "uint32"),
            *("--tokenizer.eos_token_id", str(ids["<|endoftext|>"])),
            *("--tokenizer.pad_token_id", str(ids["<|pad|>"])),
            *("--tokenizer.encode_special_tokens", "--processes", "1"),
        ]
        found.append(measure("dolma tokens", command, mb))
    if options.datatrove_python:
        script = DATATROVE.format(
            documents=str(documents), out=f"{out}/datatrove", tokenizer=tokenizer
        )
        found.append(measure("datatrove", [str(options.datatrove_python), "-c", script], mb))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path, help="JSONL of documents")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--mb", type=float, default=200.0, help="megabytes of text in all")
    parser.add_argument(
        "--encoders",
        nargs="+",
        default=["gigatoken", "tiktoken", "tokenizers"],
        choices=["gigatoken", "tiktoken", "tokenizers"],
    )
    parser.add_argument("--dolma-python", type=Path, help="the python that dolma is installed in")
    parser.add_argument("--datatrove-python", type=Path, help="likewise")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        documents, out = Path(scratch) / "documents", Path(scratch) / "out"
        mb, once = repeat(options.documents, documents, options.mb)
        size = sum(file.stat().st_size for file in documents.iterdir()) / 1e6
        print(f"{mb:.0f} MB of text in {FILES} files of {size:.0f} MB, {time.strftime('%F')}")
        shared = (options.tokenizer, documents)
        kinds = {"gigatoken": "Gigatoken", "tiktoken": "Tiktoken", "tokenizers": "Tokenizers"}
        names = options.encoders
        # Nothing is remembered by `tokenizers`, which takes its time: once is enough.
        raws = {
            name: raw(f"raw {name}", kinds[name], *shared, once if name == "tokenizers" else None)
            for name in names
        }
        first = raw("raw gigatoken, first pass", "Gigatoken", *shared, once)
        rows = {
            name: ours(
                f"ours, {name}",
                list(kinds)[: list(kinds).index(name)],  # the faster ones
                *(*shared, out / name, mb),
            )
            for name in names
        }
        two = ours("ours, gigatoken, 2 workers", [], *shared, out / "two", mb, "--workers", "2")
        others = peers(options, documents, out, mb)

    print(f"\n{'':28}{'CPU s':>8}{'MB/s':>8}{'of raw':>8}{'peak MB':>9}", end="")
    print("".join(f"  x {other.name}" for other in others))
    table = [(cost, raws[name]) for name, cost in rows.items()]
    if "gigatoken" in raws:
        table.append((two, raws["gigatoken"]))
    for cost, alone in table:
        ratios = "".join(f"{cost.rate / o.rate:>{len(o.name) + 4}.1f}" for o in others)
        share = cost.rate / alone.rate
        print(
            f"{cost.name:28}{cost.seconds:8.2f}{cost.rate:8.1f}{share:8.2f}{cost.peak:9.0f}{ratios}"
        )
    for cost in others:
        print(f"{cost.name:28}{cost.seconds:8.2f}{cost.rate:8.1f}{'':8}{cost.peak:9.0f}")
    for cost in (*raws.values(), first):
        print(f"{cost.name:28}{cost.seconds:8.2f}{cost.rate:8.1f}")


if __name__ == "__main__":
    main()
