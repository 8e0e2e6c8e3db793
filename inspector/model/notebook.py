"""Tables for a notebook's cell: HTML, with all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from inspector.base.foreign_text import visible


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> str:
    """A table with a caption.

    >>> html_table(["VCPU"], [["d1v0"], ["<b>"]], "two")
    '<table><caption>two</caption><tr><th>VCPU</th></tr><tr><td>d1v0</td></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    caption = f"<caption>{_text(title)}</caption>" if title else ""
    head = "".join(f"<th>{_text(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{caption}{f'<tr>{head}</tr>' if heads else ''}{body}</table>"


def html_text(text: str) -> str:
    """A paragraph that keeps its lines."""
    return f"<pre>{_text(text)}</pre>"


def _text(text: str) -> str:
    return escape(visible(text))
