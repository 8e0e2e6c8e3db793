"""`vtdpi gdb-plugin`, as a user types it; what it writes: tests/inspector/gdb_plugin/test_install.py."""

from __future__ import annotations

from inspector.gdb_plugin.install import write


def test_the_path_or_a_line_for_gdbinit(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run("gdb-plugin").out == f"{write()}\n"
    assert run("gdb-plugin", "--gdbinit").out == f"source {write()}\n"
    refused = run("gdb-plugin", "more")
    assert (refused.status, refused.out) == (2, "")
    assert "unrecognized arguments: more" in refused.err
