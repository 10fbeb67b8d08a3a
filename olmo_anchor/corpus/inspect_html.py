"""Documents as one self-contained page, where each token tells its id, role and label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby

from olmo_anchor.corpus.inspect_view import CONTROL, VALUE_ONLY, DocumentView, Shares, Token, tally

__all__ = ["page"]

_CLASSES = {"text": "x", "delimiter": "d", "key": "k", "value": "v", CONTROL: "c"}


def page(
    documents: Sequence[DocumentView],
    title: str,
    about: Sequence[str],
    *,
    boundaries: bool = False,
) -> str:
    """The page as HTML; nothing in it is loaded from elsewhere.

    :param boundaries: whether it opens with the beginnings of tokens shown.
    """
    template = (files(__package__) / "inspect_page.html").read_text(encoding="utf-8")
    parts = {
        "edges": " checked" if boundaries else "",
        "title": escape(title),
        "about": "".join(f"<li>{escape(fact)}</li>" for fact in about),
        "shares": _shares(tally(documents), len(documents)),
        "documents": "\n".join(map(_document, documents)),
    }
    for name, html in parts.items():
        # The last to be filled in is the text: nothing in it is taken for a place to fill.
        template = template.replace(f"<!--{name}-->", html, 1)
    return template


def _document(document: DocumentView) -> str:
    facts = "".join(
        f"<li{' class=flag' * (fact == VALUE_ONLY)}>{escape(fact)}</li>"
        for fact in document.facts()
    )
    body = "".join(_stretches(document))
    more = f'<p class="more">{document.hidden:,} more tokens</p>' if document.hidden else ""
    return (
        f'<article><header><h2>{escape(document.title)}</h2><ul class="facts">{facts}</ul></header>'
        f'{_ribbon(document)}<div class="body">{body}</div>{more}</article>'
    )


def _stretches(document: DocumentView) -> Iterator[str]:
    for inside, run in document.stretches():
        spans = "".join(map(_token, run))
        yield f'<span class="z">{spans}</span>' if inside else spans


def _token(token: Token) -> str:
    name = _CLASSES[token.kind] + ("" if token.trained else " m")
    text = escape(token.text, quote=False).replace("\n", "<i></i>\n")
    return f'<b class="{name}" data-i="{" ".join(map(str, token.ids))}">{text}</b>'


def _ribbon(document: DocumentView) -> str:
    """The shown part of the document as a strip: where its annotations are, what is trained."""
    runs = groupby(document.tokens, key=lambda token: (_CLASSES[token.kind], token.trained))
    pieces = [
        f'<s class="{name}{"" if trained else " m"}" style="flex:{len(list(run))}"></s>'
        for (name, trained), run in runs
    ]
    return f'<div class="ribbon" aria-hidden="true">{"".join(pieces)}</div>'


def _shares(shares: Shares, documents: int) -> str:
    rows, bars = [], []
    for name, tokens in shares.tokens.items():
        trained, share = shares.trained[name], tokens / max(1, shares.total)
        of_role = f"{trained / tokens:.1%}" if tokens else ""
        rows.append(
            f'<tr><th scope="row"><span class="dot {_CLASSES[name]}"></span>{name}</th>'
            f"<td>{tokens:,}</td><td>{share:.1%}</td><td>{trained:,}</td><td>{of_role}</td></tr>"
        )
        for count, mask in ((trained, ""), (tokens - trained, " m")):
            if count:
                what = "masked" if mask else "trained"
                bars.append(
                    f'<s class="{_CLASSES[name]}{mask}" style="flex:{count}" '
                    f'title="{name}, {what}: {count:,}"></s>'
                )
    trained = sum(shares.trained.values())
    rows.append(
        f'<tr class="all"><th scope="row">all</th><td>{shares.total:,}</td><td>100%</td>'
        f"<td>{trained:,}</td><td>{trained / max(1, shares.total):.1%}</td></tr>"
    )
    counted = "1 document" if documents == 1 else f"{documents} documents"
    return (
        f'<div class="ribbon tall">{"".join(bars)}</div><table><caption>Tokens of {counted}, by '
        "role</caption><thead><tr><th>role</th><th>tokens</th><th>share</th><th>trained</th>"
        f"<th>of role</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
