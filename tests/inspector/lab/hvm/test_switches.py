"""Where posting is switched on is asked by symbol; a Xen without them is one line. That it works is in tests/live."""

from __future__ import annotations

import time
from typing import cast

import pytest

from inspector.lab import LabError
from inspector.lab.hvm import switches
from inspector.profiles import store
from inspector.targets.live.bochs_debugger import BochsDebugger


class Played:
    """A debugger whose machine always comes to where it was to stop, or never."""

    def __init__(self, arrives: bool) -> None:
        self.arrives = arrives
        self.breakpoint = 0
        self.stores: list[tuple[int, int, int]] = []

    def command(self, words: str) -> str:
        if words.startswith("lb "):
            self.breakpoint = int(words[3:], 16)
        if words == "r":
            high, low = f"{self.breakpoint:016x}"[:8], f"{self.breakpoint:016x}"[8:]
            return f"rdi: ffff8300_07e00000\nrip: {high}_{low}\n"
        return "  1 lbreakpoint    keep y   0xffff82d040300000" if words == "blist" else ""

    def cont(self) -> None: ...

    def stop(self) -> str:
        return ""

    def wait(self, seconds: float) -> str | None:
        return "(1) Breakpoint 1, 0x1 in ?? ()\n" if self.arrives else None

    def physical(self, address: int) -> int:
        return address & 0xFFFFFFF

    def store(self, physical: int, value: int, size: int) -> None:
        self.stores.append((physical, value, size))


PROFILE = store.by_build_id("576c0736b3e38388c5afe9aaccc43a18d514e88e")
SYMBOLS = {"start_vmx": 0xFFFF82D0403F2C70, "hvm_domain_initialise": 0xFFFF82D0402C0000}


def test_both_are_set_and_nothing_else() -> None:
    assert PROFILE
    played = Played(arrives=True)
    switches.switch_on(cast(BochsDebugger, played), PROFILE, SYMBOLS, time.monotonic() + 1)
    block = PROFILE.symbol("vmx_vcpu_block")
    assert played.stores == [
        (PROFILE.symbol("iommu_intpost") & 0xFFFFFFF, 1, 1),
        (0x7E00000 + 984, block, 8),
        (0x7E00000 + 976, 3, 1),
    ]


def test_a_xen_without_the_symbols_is_one_line() -> None:
    assert PROFILE
    with pytest.raises(LabError, match="this Xen has no symbol start_vmx"):
        switches.switch_on(cast(BochsDebugger, Played(True)), PROFILE, {}, time.monotonic() + 1)


def test_a_machine_that_never_comes_there_is_one_line() -> None:
    assert PROFILE
    with pytest.raises(LabError, match="does not come to"):
        switches.switch_on(cast(BochsDebugger, Played(False)), PROFILE, SYMBOLS, time.monotonic())
