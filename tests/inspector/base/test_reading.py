"""Texts of others: what is none, and what has no end."""

from __future__ import annotations

import io

import pytest

from inspector.base.errors import TargetError
from inspector.base.reading import MIB, decoded, text


def test_a_text(tmp_path):
    path = tmp_path / "file"
    path.write_bytes("zwölf\r\n".encode())
    assert text(path, MIB) == "zwölf\r\n"
    path.write_bytes(b"\xff!")
    assert text(path, MIB, "replace") == "\ufffd!"
    with pytest.raises(TargetError, match=r"file cannot be read: it is no text: .*can't decode"):
        text(path, MIB)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing", "cannot be read: No such file"),
        ("", "cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
        ("a\0b", "cannot be read: embedded null byte"),
        ("/dev/zero", "has more than 1 MiB"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, monkeypatch, name, why):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TargetError, match=why) as error:
        text(name, MIB)
    assert "\n" not in str(error.value)


def test_as_much_as_there_may_be():
    assert decoded(io.BytesIO(b"a" * MIB), "it", MIB) == "a" * MIB
    with pytest.raises(TargetError, match="it has more than 1 MiB"):
        decoded(io.BytesIO(b"a" * (MIB + 1)), "it", MIB)


def test_what_it_is_meant_to_be(tmp_path):
    with pytest.raises(TargetError, match=f"^the script {tmp_path} cannot be read"):
        text(tmp_path, MIB, kind="the script")
