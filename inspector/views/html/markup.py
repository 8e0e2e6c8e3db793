"""Elements of a page. Text is only ever given as text, and the standard library escapes it."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

from inspector.base.foreign_text import visible

# XML has no way to write these, and in a page they would show as nothing.
_UNSHOWABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(words: object) -> str:
    """Text that can be shown: what commands a terminal or cannot be seen is made visible."""
    return _UNSHOWABLE.sub("\ufffd", visible(str(words)))


def tag(name: str, /, *content: Element | str | None, **attributes: object) -> Element:
    """An element. `class_` is the attribute `class`, `a_b` is `a-b`; None is left out."""
    made = Element(name)
    for key, value in attributes.items():
        if value is not None:
            made.set(key.rstrip("_").replace("_", "-"), text(value))
    last: Element | None = None
    for part in content:
        if isinstance(part, str):
            if last is None:
                made.text = (made.text or "") + text(part)
            else:
                last.tail = (last.tail or "") + text(part)
        elif part is not None:
            made.append(part)
            last = part
    return made


def html(root: Element) -> str:
    """A page's source."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def xml(root: Element) -> str:
    """A picture's source."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"
