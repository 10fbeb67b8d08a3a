"""``olmo-anchor study page``: what the study found, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import atomic_write, write_json
from olmo_anchor.report.html import check_page, write_page
from olmo_anchor.study.findings.collect import collect
from olmo_anchor.study.findings.document import check_document, write_document
from olmo_anchor.study.findings.page import TITLE, headline, render
from olmo_anchor.study.findings.tidy import csv_text, terminal

__all__ = ["FindingsConfig"]


@dataclass(frozen=True)
class FindingsConfig:
    """:param out: the folder of the study, with ``seed-N`` in it.
    :param html: the page; default ``OUT/study.html``.
    :param docs: a Markdown file with markers, whose blocks are filled in.
    :param name: of this study in the markers; empty for those without one.
    """

    out: Path
    html: Path | None = None
    docs: Path | None = None
    name: str = ""

    def run(self) -> None:
        """Write ``study.json``, ``study.csv`` and the page in the place of earlier ones, and print
        the tables.

        :raises InputError: as :func:`~olmo_anchor.study.findings.collect.collect`; when the page is
            a file of something else, the document lacks a marker, or matplotlib or jinja2 is not
            installed.
        """
        html = self.html or self.out / "study.html"
        check_page(html, TITLE, "olmo-anchor study page")
        if self.docs is not None:
            check_document(self.docs)
        findings = collect(self.out)
        write_json(self.out / "study.json", findings.to_json())
        with atomic_write(self.out / "study.csv") as file:
            file.write(csv_text(findings).encode())
        console = Console()
        console.print(terminal(findings))
        written = [self.out / "study.json", self.out / "study.csv", html]
        try:
            write_page(html, render(findings))
            if self.docs is not None:
                written += write_document(self.docs, findings, self.name)
        except ImportError:
            raise InputError(
                "the page needs matplotlib: pip install 'olmo-anchor[report]'"
            ) from None
        console.print(f"\n{headline(findings)}", highlight=False, markup=False)
        for path in written:
            console.print(Text(str(path), style="bold"), soft_wrap=True)
