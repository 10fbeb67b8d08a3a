"""The numbers of ``annotations stats`` as one self-contained page, with plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from olmo_anchor.errors import InputError
from olmo_anchor.quality.count import Counts
from olmo_anchor.quality.figures import sizes_figure, values_figure
from olmo_anchor.quality.table import agreement_facts, facts
from olmo_anchor.report import html

__all__ = ["check_page", "write_page"]

_TITLE = "olmo_anchor annotations"


def check_page(path: Path) -> None:
    """Before long work.

    :raises InputError: when ``path`` is something else, or what makes the page is not installed.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError(f"--html needs {error.name}: pip install 'olmo-anchor[report]'") from None
    html.check_page(path, _TITLE, "olmo-anchor annotations stats")


def write_page(path: Path, stats: dict[str, Any], counts: Counts) -> None:
    """:param counts: that the plots are drawn from."""
    page = html.render_page(
        "olmo_anchor.quality",
        "stats.html.jinja",
        title=_TITLE,
        stats=stats,
        facts=facts(stats),
        agreed=agreement_facts(stats["agreement"]) if stats["agreement"] else [],
        figures={"sizes": sizes_figure(counts), "values": values_figure(counts)},
    )
    html.write_page(path, page)
