"""HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """A table of texts, which stand as they are; the first cell of each row names it."""
    head = f"<thead>{_row(header, 'th', 'th')}</thead>" if header else ""
    body = "".join(_row(row, "th", "td") for row in rows)
    return f"<table>{head}<tbody>{body}</tbody></table>"


def titled(title: str, body: str) -> str:
    """Something of HTML below a title, which is a text."""
    return f"<div><strong>{escape(title)}</strong>{body}</div>"


def _row(cells: Sequence[str], first: str, rest: str) -> str:
    tags = [first, *[rest] * (len(cells) - 1)]
    inner = "".join(
        f'<{tag} style="text-align: left">{escape(cell)}</{tag}>' for tag, cell in zip(tags, cells, strict=True)
    )
    return f"<tr>{inner}</tr>"
