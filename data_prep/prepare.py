"""Prepare a corpus as its YAML in this folder says: fetch it, tokenize it, lay annotations over it.

  make data CORPUS=wikipedia                            all of it
  make data CORPUS=reddit TOKENS=2e9 ANNOTATOR=keyword  shards of about 2 billion tokens, annotated
  make data CORPUS=books SOURCE=my/shards LIMIT=100     files that are here already, 100 records

It only writes commands down and runs them in order; --dry-run shows them. Each step goes on where
it was stopped, so the same call goes on too.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import yaml

from olmo_anchor.errors import InputError

HERE = Path(__file__).parent
ANNOTATE = (
    "olmo-anchor annotate {out}/tokens --annotator {annotator} --out {out}/annotations --resume",
    "olmo-anchor overlay {out}/tokens {out}/annotations --out {out}/overlay --resume",
)
PARAGRAPHS = (__doc__ or "").replace("\n\n", "\n\n\b\n")  # click fills others with words
_RANGE = re.compile(r"\[(\d+)-(\d+)\]")
_PROGRAMS = {"olmo-anchor": [sys.executable, "-m", "olmo_anchor.cli"], "python": [sys.executable]}


@dataclass(frozen=True)
class Corpus:
    """One YAML.

    :param about: what it is; ``licence``, ``disk`` and ``time`` are words for people.
    :param size: ``documents`` and ``tokens`` (dolma2's, about) and ``download``.
    :param urls: numbered files, ranges in brackets as curl has them: ``wiki-[0000-0001].json.gz``.
    :param each: names for ``{each}``: the steps that hold it are done for each of them.
    :param steps: commands. ``{source}`` is the files to read, ``{out}`` the corpus' own folder,
        ``{here}`` this one, ``{tokenizer}`` and ``{limit}`` (an option, or nothing) the caller's.
    """

    name: str
    about: str
    page: str
    licence: str
    size: dict[str, Any]
    disk: str
    time: str
    steps: list[str]
    urls: list[str] = field(default_factory=list)
    each: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str) -> Corpus:
        """:raises InputError: when there is no such YAML, or it lacks a field."""
        path = HERE / f"{name}.yaml"
        known = names()
        if name not in known:
            raise InputError(f"no corpus {name!r} in {HERE}; there are {', '.join(known)}")
        try:
            return cls(name=name, **yaml.safe_load(path.read_text(encoding="utf-8")))
        except (TypeError, yaml.YAMLError) as error:
            raise InputError(f"{path}: {error}") from None

    def files(self, tokens: float | None) -> list[str]:
        """The URLs to fetch: all, or as many as hold ``tokens``, spread evenly over all."""
        found = [url for pattern in self.urls for url in expand(pattern)]
        if tokens is None:
            return found
        each = self.size["tokens"] / len(found)
        count = min(len(found), math.ceil(tokens / each))
        return [found[at * len(found) // count] for at in range(count)]


def names() -> list[str]:
    """Every corpus that has a YAML here; a mixture is none."""
    return sorted(path.stem for path in HERE.glob("*.yaml") if "mixture" not in path.stem)


def expand(pattern: str) -> list[str]:
    """``a[08-10]b`` is a08b, a09b, a10b; of several ranges the last runs fastest."""
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last = found.groups()
    return [
        whole
        for number in range(int(first), int(last) + 1)
        for whole in expand(
            f"{pattern[: found.start()]}{number:0{len(first)}}{pattern[found.end() :]}"
        )
    ]


def local_name(url: str) -> str:
    """The last two parts of its path: shards of two folders may have one name."""
    return "/".join(url.split("/")[-2:])


def fill(corpus: Corpus, sources: list[str], annotator: str | None, **words: str) -> list[str]:
    """The commands to run."""
    commands = []
    source = " ".join(map(shlex.quote, sources))
    annotate = ANNOTATE if annotator else ()
    for step in (*corpus.steps, *annotate):
        for each in corpus.each if "{each}" in step else [""]:
            filled = step.format(source=source, annotator=annotator, each=each, **words)
            commands.append(" ".join(filled.split()))
    return commands


def fetch(urls: list[str], folder: Path, dry_run: bool) -> None:
    """Download what is not there yet; a file that was cut off is continued."""
    for number, url in enumerate(urls, 1):
        target = folder / local_name(url)
        if target.exists():
            continue
        torn = target.with_name(f"{target.name}.part")
        command = [
            *("curl", "--fail", "--location", "--retry", "5", "--silent", "--show-error"),
            *("--create-dirs", "--continue-at", "-", "--output", str(torn), url),
        ]
        print(f"[{number} of {len(urls)}] {shlex.join(command)}", flush=True)
        if not dry_run:
            _run(command)
            torn.rename(target)


def _run(command: list[str]) -> None:
    done = subprocess.run(_PROGRAMS.get(command[0], [command[0]]) + command[1:])
    if done.returncode:
        print(f"Stopped at: {shlex.join(command)}\nthe same call goes on", file=sys.stderr)
        sys.exit(done.returncode)


@click.command(help=PARAGRAPHS)
@click.argument("name", required=False, metavar="CORPUS")
@click.option("--source", multiple=True, help="Files or folders that are here, or hf://datasets/.")
@click.option("--data", default="data", show_default=True, help="Each corpus has a folder in it.")
@click.option("--tokenizer", default="allenai/dolma2-tokenizer", show_default=True)
@click.option("--tokens", type=float, help="Fetch shards of about so many tokens.  [default: all]")
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N records.")
@click.option("--annotator", help="Annotate too: keyword, or vllm and its options in quotes.")
@click.option("--dry-run", is_flag=True, help="Print the commands, run none.")
@click.option("--list", "listing", is_flag=True, help="Say what there is, and what it takes.")
def main(
    name: str | None,
    source: tuple[str, ...],
    data: str,
    tokenizer: str,
    tokens: float | None,
    limit: int | None,
    annotator: str | None,
    dry_run: bool,
    listing: bool,
) -> None:
    if listing or name is None:
        print("\n\n".join(describe(Corpus.load(each)) for each in names()))
        return
    corpus = Corpus.load(name)
    out = Path(data) / name
    if source and tokens:
        raise InputError("--tokens chooses what is fetched; for files of your own give --limit")
    if not source and not corpus.urls:
        raise InputError(f"{name}: has no source of its own; give one with SOURCE= (--source)")
    if annotator and any("annotate" in step for step in corpus.steps):
        raise InputError(f"{name}: brings its own annotations; leave ANNOTATOR= out")
    sources = list(source)
    if not sources:
        urls = corpus.files(tokens)
        fetch(urls, out / "raw", dry_run)
        sources = [str(out / "raw" / local_name(url)) for url in urls]
    for command in fill(
        corpus,
        sources,
        annotator,
        out=shlex.quote(str(out)),
        here=shlex.quote(os.path.relpath(HERE)),
        tokenizer=shlex.quote(tokenizer),
        limit=f"--limit {limit}" if limit else "",
    ):
        print(f"$ {command}", flush=True)
        if not dry_run:
            _run(shlex.split(command))


def describe(corpus: Corpus) -> str:
    """What there is and what it takes, as a person reads it."""
    size = ", ".join(f"{_round(value)} {name}" for name, value in corpus.size.items())
    lines = [corpus.name, corpus.about, f"size: {size}"]
    lines += [f"{name}: {getattr(corpus, name)}" for name in ("licence", "disk", "time", "page")]
    return "\n  ".join(" ".join(line.split()) for line in lines)


def _round(value: Any) -> str:
    if isinstance(value, str):
        return value
    for unit, word in ((1e9, "billion"), (1e6, "million")):
        if value >= unit:
            return f"{value / unit:.3g} {word}"
    return f"{value:,.0f}"


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
