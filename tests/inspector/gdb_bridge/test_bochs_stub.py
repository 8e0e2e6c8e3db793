"""Where the bridge listens; the bridge itself is tried on a machine in tests/live/test_hvm_gdb.py."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from inspector.base.errors import TargetError
from inspector.gdb_bridge.bochs_stub import POINT, STOPPED_AT, listen


def test_only_its_owner_can_open_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "gdb"
    before = os.umask(0)
    try:
        with listen(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
            with pytest.raises(
                TargetError, match="cannot be listened on: Address already in use; name another --socket"
            ):
                listen(path)
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    with pytest.raises(TargetError, match="cannot be listened on"):
        listen(tmp_path / "none" / "gdb")


def test_why_bochs_stopped_is_read() -> None:
    stored = STOPPED_AT.search("Next at t=5\n(1) Caught write watch point at 0x000007e486a0\n(1) [0x1] 0008:1")
    assert stored
    assert stored.groups() == ("1", "000007e486a0")
    entered = STOPPED_AT.search("(0) Breakpoint 1, 0xffff82d0402a9af1 in ?? ()\nNext at t=585054604\n")
    assert entered
    assert entered.groups() == ("0", None)
    assert STOPPED_AT.search("Next at t=5\n(0) [0x1] 0008:1 (unk. ctxt): nop ; 90\n") is None
    listed = "Num Type           Disp Enb Address\n  5 lbreakpoint    keep y   0xffff82d0402a6fa0 \n"
    assert POINT.findall(listed) == [("5", "0xffff82d0402a6fa0")]
