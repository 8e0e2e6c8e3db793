"""Completion by gdb."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.live


def test_completion_knows_options_and_live_objects(gdb, server, symbols):
    out, _ = gdb(
        f"file {symbols}",
        f"target remote {server.address}",
        "complete vtdpi irte 0x001",
        "complete vtdpi route 00:03",
        "complete vtdpi irt --po",
        "complete vtdpi pi d1",
        "complete vtdpi aud",
        'python import sys; print("readline" in sys.modules)',
        "disconnect",
    )
    completed = re.findall(r"^vtdpi .*", out, re.MULTILINE)
    assert {f"vtdpi irte {index:#06x}" for index in (0x10, 0x17, 0x18)} < set(completed)
    assert {"vtdpi route 00:03.0", "vtdpi irt --posted", "vtdpi pi d1v0", "vtdpi audit"} <= set(completed)
    assert "\nFalse\n" in out


def test_the_tab_key_completes_before_any_command_ran(gdb, server, symbols):
    child = gdb.terminal(f"file {symbols}", f"target remote {server.address}")
    child.send("vtdpi pi d1v\t")
    child.expect("\x07")
    child.send("\t")
    child.expect(r"d1v0 +d1v1")
    child.sendintr()
    child.expect(child.prompt)
    child.send("info breakp\t")
    child.expect("info breakpoints")
    child.sendintr()
    child.expect(child.prompt)
    child.sendline("disconnect")
    child.expect(child.prompt)
    child.close(force=True)
