"""What is Xen's own on a console that it shares with dom0. The conversations are in tests/live/test_lab.py."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.lab import LabError
from inspector.lab.console import ask, create, keys_of, last_lines, own_lines, press

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


def test_a_console_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be opened"):
        ask(tmp_path / "nobody", "V")


def test_the_last_lines_of_what_is_there(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    assert last_lines(log) == "nothing"
    log.write_bytes(b"one\r\n\r\ntwo\r\n\xff\xfethree")
    assert last_lines(log, 2) == "two | \ufffd\ufffdthree"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Path]:
    """A console whose machine has the pipe open, as QEMU has."""
    path = tmp_path / "console.log"
    keys = os.open(create(path), os.O_RDWR)
    yield path
    os.close(keys)


def test_what_qemu_writes_is_the_consoles_file(console: Path) -> None:
    console.with_name("console.log.out").write_text("(XEN) hello\n")
    assert last_lines(console) == "(XEN) hello"


def test_a_console_that_answers_nothing(console: Path) -> None:
    with pytest.raises(LabError, match=r"does not answer on its console within 0\.1 s"):
        ask(console, "V", timeout=0.1)


def test_a_console_that_does_not_read_its_keys(console: Path) -> None:
    full = os.open(keys_of(console), os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(full, bytes(4096))
    os.close(full)
    with pytest.raises(LabError, match="takes no more keys"):
        press(console, "C")


def test_a_machine_that_ends_is_noticed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    keys = os.open(create(path), os.O_RDWR)
    ending = threading.Timer(0.2, os.close, [keys])
    ending.start()
    with pytest.raises(LabError, match="QEMU is gone"):
        ask(path, "V", timeout=60)
    ending.join()
    with pytest.raises(LabError, match=r"console\.log\.in cannot be opened: QEMU is gone"):
        ask(path, "V")


def test_one_conversation_at_a_time(console: Path) -> None:
    with console.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LabError, match="somebody else has talked"):
            ask(console, "V", timeout=0.1)
