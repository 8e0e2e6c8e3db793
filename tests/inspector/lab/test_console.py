"""What is Xen's own on a console that it shares with dom0. The conversations are in tests/live/test_lab.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.lab import LabError
from inspector.lab.console import ask, last_lines, own_lines

NOISY = (
    b"[    3.1] e1000e 0000:00:01.0 eth0: link up\r\n"
    b"(XEN) *** Serial input to Xen (type 'CTRL-a' three times to switch input)\r\n"
    b"(XEN) MSI information:\r\n"
    b"an unfinished line of dom0(XEN)  MSI-X   25 vec=b0\r\n"
    b"[    3.2] dom0 goes on\r\n"
    b"(XEN)  MSI-X   26 vec=b8\r\n"
    b"(XEN) *** Serial input to DOM0 (type 'CTRL-a' three times to switch input)\r\n"
)


def test_only_the_answer_stays() -> None:
    assert own_lines(NOISY) == "(XEN) MSI information:\n(XEN)  MSI-X   25 vec=b0\n(XEN)  MSI-X   26 vec=b8\n"


@given(st.lists(st.tuples(st.booleans(), st.text("abc 0123:", max_size=20))))
def test_each_line_of_xens_stays_and_none_of_dom0s(lines: list[tuple[bool, str]]) -> None:
    text = "".join(f"{'(XEN) ' if xens else ''}{line}\r\n" for xens, line in lines)
    assert own_lines(text.encode()) == "".join(f"(XEN) {line}\n" for xens, line in lines if xens)


@pytest.mark.parametrize("key", ["", "VV", "\x01", " ", "\n", "é"])
def test_what_is_no_key_is_said(key: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="one printable ASCII character"):
        ask(tmp_path / "nobody", key)


def test_a_socket_where_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be opened"):
        ask(tmp_path / "nobody", "V")


def test_the_last_lines_of_what_is_there(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    assert last_lines(log) == "nothing"
    log.write_bytes(b"one\r\n\r\ntwo\r\n\xff\xfethree")
    assert last_lines(log, 2) == "two | \ufffd\ufffdthree"
