"""Symbols and lines of a program that the system's compiler makes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.base.errors import VtdpiError
from inspector.profiles import dwarf
from inspector.profiles.functions import SymbolFile

SOURCE = """\
static int twice(int x) { return x * 2; }
int answer(int x)
{
    return twice(x) + 1;
}
int main(void) { return answer(0); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcc"):
        pytest.skip("gcc is missing")
    directory = tmp_path_factory.mktemp("program")
    (directory / "answer.c").write_text(SOURCE)
    words = ["gcc", "-g", "-O1", "-fno-inline", "-no-pie", "-o", "program", "answer.c"]
    subprocess.run(words, cwd=directory, check=True)
    return directory / "program"


def test_functions_have_addresses_and_lines(program: Path) -> None:
    symbols = SymbolFile(program)
    assert {"answer", "main", "twice"} <= set(symbols.addresses)
    (line,) = symbols.lines(symbols.addresses["answer"])
    assert (line.function, line.file) == ("answer", "answer.c")
    assert line.line in (2, 3, 4)
    assert symbols.lines(8) == ()


def test_lines_need_drgn_and_addresses_do_not(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dwarf, "find_spec", lambda name: None)
    symbols = SymbolFile(program)
    assert "answer" in symbols.addresses
    with pytest.raises(VtdpiError, match=r"vtdpi\[symbols\]"):
        symbols.lines(symbols.addresses["answer"])


def test_what_is_no_program_is_one_line(tmp_path: Path) -> None:
    for content in (b"", b"\x7fELF", b"x" * 1000):
        path = tmp_path / "syms"
        path.write_bytes(content)
        with pytest.raises(VtdpiError, match="not a usable ELF image"):
            _ = SymbolFile(path).addresses
    with pytest.raises(VtdpiError, match="cannot be read"):
        _ = SymbolFile(tmp_path / "none").addresses
