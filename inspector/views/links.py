"""Links in a terminal (OSC 8): short names of the glossary lead to the manual, the name of a written file to the file.

Off where the output is no terminal, where TERM or the terminal's own variables do not tell of one that has links, and
inside tmux and screen, which may be shown by any; FORCE_HYPERLINK=1 has them everywhere, FORCE_HYPERLINK=0 nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote

from structs.frozen import frozen

_KINDS = ("xterm-kitty", "xterm-ghostty", "foot", "alacritty", "wezterm", "contour")
"""What TERM begins with in terminals that have links, whatever else is set."""
_PROGRAMS = ("iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "Tabby", "rio")
"""What TERM_PROGRAM says in those."""
_OWN = ("WT_SESSION", "KONSOLE_VERSION", "DOMTERM", "KITTY_WINDOW_ID")
"""What is set in others."""
_VTE = 5000
"""The version of VTE (GNOME Terminal and its like), as it tells it, from which it has links."""
_NAME = re.compile(r"\b(?:[DSK]\d+|H-[A-Z]|ZOO-\d+)\b")
"""What may be a short name of the glossary."""


@frozen
class Links:
    """What leads where.

    Attributes:
        manual: the address of the manual's folder, without `/` at its end; empty if there is none.
        files: the addresses of files, by the names that are printed.
    """

    manual: str = ""
    files: Mapping[str, str] | None = None

    def in_text(self, text: str) -> str:
        """The text, its names as links."""
        if self.manual:
            text = _NAME.sub(lambda match: self._name(match[0]), text)
        for name, address in (self.files or {}).items():
            text = re.sub(rf"(?<!\S){re.escape(name)}(?!\S)", partial(_linked, address), text)
        return text

    def _name(self, name: str) -> str:
        return link(name, f"{self.manual}/glossary.html#{name.lower()}") if name in _known() else name


def _linked(address: str, name: re.Match[str]) -> str:
    return link(name[0], address)


def link(text: str, address: str) -> str:
    """The text as a link."""
    return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\"


def of_file(path: str) -> str:
    """The address of a file of this machine."""
    # The host's name is there for who reads a terminal from elsewhere: that one has no such file.
    return f"file://{os.uname().nodename}{quote(os.path.abspath(path))}"


def are_shown(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether links are shown where output goes."""
    forced = environment.get("FORCE_HYPERLINK", "")
    if forced:
        return forced != "0"
    kind = environment.get("TERM", "dumb")
    if not terminal or kind in ("dumb", "linux") or kind.startswith(("screen", "tmux")):
        return False
    if "TMUX" in environment or "STY" in environment:
        return False
    vte = environment.get("VTE_VERSION", "")
    return (
        kind.startswith(_KINDS)
        or environment.get("TERM_PROGRAM", "") in _PROGRAMS
        or any(name in environment for name in _OWN)
        or (vte.isdecimal() and int(vte) >= _VTE)
    )


def manual(said: str) -> str:
    """The address of the manual: that which the user says, a folder or an address, or the one that was built here."""
    if "://" in said:
        return said.rstrip("/")
    # In a clone, and so with `pip install -e`.
    folder = Path(said).expanduser() if said else Path(__file__).parents[2] / "docs" / "_build"
    return of_file(str(folder)) if (folder / "glossary.html").is_file() else ""


@cache
def _known() -> frozenset[str]:
    from inspector.analysis.glossary import entries
    from inspector.audit import rules

    return frozenset(entries()) | {rule.id for rule in rules()}
