"""Text that others wrote, on its way to a terminal, a page, a picture or a prompt.

A terminal obeys control characters, and the bidirectional ones show a line as what it is not. So whatever comes from a
target, a file, a log, gdb, QEMU or the command line goes through `visible` before anybody sees it.
"""

from __future__ import annotations

KEPT = frozenset("\n\t")
"""What is no printable character, but does no harm."""


def visible(text: str) -> str:
    r"""The text with all that cannot be printed made visible, as Python writes it; lines stay lines.

    >>> print(visible("Xen \x1b[31m4.20\u202e"))
    Xen \x1b[31m4.20\u202e
    >>> visible("two\nlines") == "two\nlines"
    True
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in KEPT else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    r"""As `visible`, for what must stay on one line.

    >>> print(one_line("two\nlines"))
    two\nlines
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
