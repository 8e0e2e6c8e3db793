"""What gdb's Python runs first: in what it cannot work in it says so in a line, and changes nothing."""

from __future__ import annotations

import ast
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from inspector.gdb_plugin import bootstrap


@pytest.mark.parametrize("version", [(3, 6, 9), (3, 10, 12)])
def test_an_old_python(monkeypatch, capsys, version):
    """It does not even look for gdb's module, of which nothing is known there."""
    before = list(sys.path)
    monkeypatch.setitem(sys.modules, "gdb", None)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", version)
        bootstrap.load("/own", "/root", "/python", "/site")
    told = capsys.readouterr().err
    number = ".".join(map(str, version[:2]))
    expected = f"vtdpi: gdb's Python is {number}; vtdpi needs a gdb with Python 3.11 or newer\n"
    assert told.replace(f"{'.'.join(map(str, version))}", number) == expected
    assert sys.path == before


def test_an_old_gdb(monkeypatch, capsys):
    """One before gdb 12, which has no gdb.RemoteTargetConnection."""
    old = ModuleType("gdb")
    old.VERSION = "11.2"
    monkeypatch.setitem(sys.modules, "gdb", old)
    before = list(sys.path)
    bootstrap.load("/own", "/root", "/python", "/site")
    assert capsys.readouterr().err == "vtdpi: this is gdb 11.2; vtdpi needs gdb 12 or newer\n"
    assert sys.path == before


def test_it_is_written_in_a_python_that_every_gdb_can_read():
    tree = ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 6))
    at_once = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert at_once == {"os", "shlex", "sys"}, "nothing of gdb's, or of vtdpi's, before the version is known"


@pytest.mark.live
def test_packages_come_last_and_once_in_the_order_in_which_they_fit(gdb, tmp_path):
    show = "python import sys, json; print('PATH', json.dumps(sys.path))"
    advice = "python from inspector.gdb_plugin import packages; print('LINE', packages.install_line)"
    again = f"source {gdb.first[-1].split()[-1]}"
    out, err = gdb(show, again, show, advice)
    assert not err
    first, second = (line for line in out.splitlines() if line.startswith("PATH"))
    assert first == second, "sourced twice, it is there once"
    paths = ast.literal_eval(first.removeprefix("PATH "))
    assert len(set(paths)) == len(paths)
    own = next(path for path in paths if "/gdb-plugin/python3." in path)
    root = str(Path(bootstrap.__file__).parents[2])
    assert paths.index(own) < paths.index(root) < len(paths) - 1
    line = shlex.split(next(line for line in out.splitlines() if line.startswith("LINE"))[5:])
    assert line[:4] == [sys.executable, "-m", "pip", "install"]
    assert line[-2:] == ["--target", own]
