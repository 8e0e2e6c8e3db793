"""`vtdpi gdb-plugin`, outside of gdb; tests/live/test_gdb_plugin.py sources what it writes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.gdb_plugin import bootstrap


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_it_prints_the_path_of_the_file_to_source(run, state):
    printed = run("gdb-plugin")
    assert printed.status == 0
    path = Path(printed.out.strip())
    assert path.is_file()
    assert path.is_relative_to(state)
    assert run("gdb-plugin", "--gdbinit").out == f"source {path}\n"


def test_any_python_3_can_read_what_runs_first(run):
    for path in (Path(run("gdb-plugin").out.strip()), Path(bootstrap.__file__)):
        ast.parse(path.read_text(), feature_version=(3, 6))


def test_a_vtdpi_that_has_gone_is_one_line(run):
    path = Path(run("gdb-plugin").out.strip())
    root = str(Path(bootstrap.__file__).parents[2])
    path.write_text(path.read_text().replace(root, "/nowhere/vtdpi"))
    done = subprocess.run([sys.executable, "-I", "-S", path], capture_output=True, text=True, cwd="/")
    assert done.stderr == "vtdpi is no longer in /nowhere/vtdpi: run `vtdpi gdb-plugin` again\n"


def test_a_place_that_cannot_be_written_is_one_line(run, state, monkeypatch):
    file = state / "file"
    file.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(file))
    printed = run("gdb-plugin")
    assert printed.status == 2
    assert "cannot be written" in printed.err
    assert printed.err.count("\n") == 1
