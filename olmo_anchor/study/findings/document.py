"""``docs/study.md``: prose by hand, and between markers what the findings say.

    <!-- study:NAME -->
    ... (replaced)
    <!-- /study:NAME -->

Beside it lie ``study/results.json``, from which the blocks are made, and the figures. Of a second
study, with a name of its own, markers say ``study:OF/NAME``, and its files lie in ``study/OF``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write
from olmo_anchor.report.figures.draw import draw
from olmo_anchor.report.figures.style import svg
from olmo_anchor.report.plain import PlainTable
from olmo_anchor.study.findings.claims import weigh
from olmo_anchor.study.findings.content import Part, parts, provenance, repeats, rule
from olmo_anchor.study.findings.findings import Findings, missing_lines
from olmo_anchor.study.findings.measures import MEASURES
from olmo_anchor.study.findings.page import headline
from olmo_anchor.study.findings.paper import PAPER
from olmo_anchor.study.findings.questions import OWN
from olmo_anchor.study.findings.sections import SECTIONS
from olmo_anchor.study.findings.tables import claims_table, tests_table

__all__ = ["BLOCKS", "check_document", "filled", "write_document"]

_MARKED = re.compile(r"<!-- study:(?P<name>[\w/]+) -->\n.*?<!-- /study:(?P=name) -->", re.DOTALL)
_NAMED = re.compile(r"<!-- study:([\w/]+) -->")
_NOTHING = "Nothing of this has been measured yet."
_FOLDER = "study"
_WITH_REASONS = ("main", "temperature")
_WHOLE = ("headline", "claims", "own", "rule", "measures", "provenance")
BLOCKS = (*_WHOLE, *(section.name for section in SECTIONS))
"""Names of what markers may stand around."""


def filled(text: str, findings: Findings, of: str = "") -> str:
    """The document with the blocks of a study made anew. A pure function.

    :param of: the study's name in markers; empty for those without one.
    :raises InputError: when a marker has no end or names no block.
    """
    _check(text, "the document")
    made = {part.section.name: part for part in parts(findings)}

    def block(found: re.Match[str]) -> str:
        whose, _, name = found["name"].rpartition("/")
        if whose != of:
            return found[0]
        content = _block(name, made, findings, _folder(of))
        return f"<!-- study:{found['name']} -->\n{content}\n<!-- /study:{found['name']} -->"

    return _MARKED.sub(block, text)


def check_document(path: Path) -> None:
    """:raises InputError: when there is no such file, or its markers are wrong."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; write one with markers <!-- study:main -->")
    _check(path.read_text("utf-8"), str(path))


def write_document(path: Path, findings: Findings, of: str = "") -> list[Path]:
    """Fill it in; write the numbers and the figures beside it.

    :param of: as :func:`filled` has it.
    :returns: what was written.
    :raises ImportError: when matplotlib is not installed.
    """
    folder = path.parent / _folder(of)
    drawings = {name: of for part in parts(findings) for name, of in part.drawings.items()}
    contents = {f"{name}.svg": svg(draw(drawing)) for name, drawing in drawings.items()}
    contents["results.json"] = compact(findings)
    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content.encode())
    for stale in folder.glob("*.svg"):
        if stale.name not in contents:
            stale.unlink()
    text = filled(path.read_text("utf-8"), findings, of)
    with atomic_write(path) as file:
        file.write(text.encode())
    return [path, *(folder / name for name in contents)]


def compact(findings: Findings) -> str:
    """The findings as JSON with a line for each arm, so that a change of one is one."""
    stored = findings.to_json(brief=True)
    told = {key: [orjson.dumps(one).decode() for one in stored[key]] for key in _LISTS}
    lines = [
        f'"{key}": [' + ("\n" + ",\n".join(of) + "\n" if of else "") + "]"
        for key, of in told.items()
    ]
    return "{\n" + ",\n".join([f'"format": {stored["format"]}', *lines]) + "\n}\n"


_LISTS = ("seeds", "arms", "missing", "withheld")


def _check(text: str, where: str) -> None:
    closed = [found["name"] for found in _MARKED.finditer(text)]
    for name in _NAMED.findall(text):
        if name.rpartition("/")[2] not in BLOCKS:
            raise InputError(f"{where}: study:{name} is no block; there are {', '.join(BLOCKS)}")
        if name not in closed:
            raise InputError(f"{where}: study:{name} has no <!-- /study:{name} --> after it")


def _folder(of: str) -> str:
    return f"{_FOLDER}/{of}" if of else _FOLDER


def _block(name: str, made: Mapping[str, Part], findings: Findings, folder: str) -> str:
    if name in made:
        return "\n".join(_part(made[name], folder))
    if name == "headline":
        return f"{headline(findings)} {repeats(findings)}" if findings.seeds else repeats(findings)
    if name == "rule":
        return rule()
    if name == "measures":
        return "\n".join(f"- **{m.short}**: {m.meaning}" for m in MEASURES.values())
    if name == "provenance":
        return "\n".join(_provenance(findings))
    ours = name == "own"
    return markdown(claims_table(weigh(OWN if ours else PAPER, findings), placed=not ours))


def _provenance(findings: Findings) -> Iterator[str]:
    told = provenance(findings)
    yield from (f"- {name}: {text}" for name, text in told) if told else (_NOTHING,)
    for line in missing_lines(findings):
        yield f"- missing, {line}"


def _part(part: Part, folder: str) -> Iterator[str]:
    """Verdicts first, then figures and the table of arms."""
    for one in part.weighed:
        yield f"- **{one.told}**: {one.claim.says}{_place(one.claim.place)}"
    yield from ("", markdown(tests_table(part.weighed)), "")
    for name in part.drawings:
        yield from (f"![{part.section.title}]({folder}/{name}.svg)", "")
    if not part.tables:
        yield _NOTHING
    yield "\n\n".join(map(markdown, part.tables))
    if part.note:
        yield from ("", part.note)
    if part.reasons is not None and part.section.name in _WITH_REASONS:
        yield from ("", "Answers that are not valid, by reason:", "", markdown(part.reasons))
    yield from (f"\nMissing: {line}" for line in part.missing)


def _place(place: str) -> str:
    return f" Paper: {place}." if place else ""


def markdown(table: PlainTable) -> str:
    """As a pipe table."""
    rows = [table.header, ("---",) * len(table.header), *table.rows]
    return "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in rows)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
