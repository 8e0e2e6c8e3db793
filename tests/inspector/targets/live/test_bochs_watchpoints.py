"""What Bochs says at a tripwire, as it was seen, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.live.bochs_watchpoints import MOST, PROCESSOR, BochsWatchpoints
from inspector.targets.live.found_before import REGISTERS
from inspector.targets.watchpoint import Write

ONE = """\
c
Next at t=585054584
(0) [0x00000070016e] 0008:000000000010016e (unk. ctxt): mov ecx, dword ptr ds:[ebx+8] ; 8b4b08
(1) Caught write watch point at 0x000007e486a0
(1) [0x000007aa9afa] e008:ffff82d0402a9afa (unk. ctxt): jmp .-682719  (0xffff82d040203020) ; e92195f5ff
<bochs:251> """
BOTH = """\
Next at t=585054599
(0) Caught write watch point at 0x000007e486a0
(0) [0x000007aa824d] e008:ffff82d0402a824d (unk. ctxt): jnb .+173  (0xffff82d0402a8300) ; 0f83ad000000
(1) Caught write watch point at 0x000007e486a0
(1) [0x000007aa9afa] e008:ffff82d0402a9afa (unk. ctxt): jmp .-682719  (0xffff82d040203020) ; e92195f5ff
<bochs:252> """
ENTRY = """\
(0) Breakpoint 1, 0xffff82d0402a9af1 in ?? ()
Next at t=585054604
(0) [0x000007aa9af1] e008:ffff82d0402a9af1 (unk. ctxt): lock btr dword ptr ds:[rsi+1696], 0x01 ; f00fbab6a006000001
(1) [0x00000070016e] 0008:000000000010016e (unk. ctxt): mov ecx, dword ptr ds:[ebx+8] ; 8b4b08
<bochs:253> """
BTR_SN, BTR_ON = bytes.fromhex("f00fbab6a006000001"), bytes.fromhex("f00fbab7a006000000")
CONTROL = 0x7E486A0
"""Where both stored: the descriptor of a vCPU whose `pi_desc` is 0x680 bytes into it."""
VCPU = CONTROL - 0x6A0


class Played:
    """Bochs with these answers; what it is told is kept."""

    def __init__(
        self,
        *answers: str | None,
        code: Mapping[int, bytes] | None = None,
        guest: int = 0,
        carry: Sequence[int] = (0, 0),
        memory: Sequence[int] = (0,),
    ) -> None:
        self.answers = list(answers)
        self.carry = carry
        self.memory = list(memory)
        self.told: list[str] = []
        self.code = code or {}
        self.guest = guest

    def command(self, words: str) -> str:
        self.told.append(words)
        if words.startswith("watch"):
            return "write watchpoint at 0x1 len=64 inserted"
        return "  1 lbreakpoint    keep y   0xffff82d0402a9af1" if words == "blist" else ""

    def cpu_registers(self, cpu: int) -> Mapping[str, int]:
        return dict.fromkeys(REGISTERS, VCPU) | {"eflags": self.carry[cpu]}

    def cont(self) -> None:
        self.told.append("c")

    def stop(self) -> str:
        return ""

    def wait(self, seconds: float) -> str | None:
        return self.answers.pop(0)

    def registers(self, cpu: int) -> Mapping[str, int]:
        return {"rip": 1, "rsp": 2 + cpu, "guest": self.guest}

    def where(self, address: int) -> tuple[str | None, str | None]:
        return f"f{address & 0xFFFF:x}", "vmx.c:1"

    def read(self, address: int, size: int) -> bytes:
        if address == CONTROL & -64:
            word = self.memory.pop(0) if len(self.memory) > 1 else self.memory[0]
            return bytes(32) + word.to_bytes(8, "little") + bytes(24)
        if size == 64:
            return bytes(64)
        if address + size not in self.code:
            raise NotReadable(address, size, "nothing is there")
        return self.code[address + size].rjust(size, b"\x90")


def watchpoints(played: Played, count: int = 1, hooks: Mapping[str, int] | None = None) -> BochsWatchpoints:
    writes = [Write(0xFFFF830007E48680 + 64 * n, 0x7E48680 + 64 * n, 64) for n in range(count)]
    return BochsWatchpoints(cast(BochsDebugger, played), played, writes, hooks or {})


def test_a_store_has_its_cpu_and_its_place() -> None:
    found = watchpoints(Played(None, ONE))
    assert found.stop_event(0.1) is None
    event = found.stop_event(0.1)
    assert event
    assert (event.kind, event.cpu, event.address, event.word) == ("write", 1, CONTROL, None)
    # the instruction that stored is the one before
    assert event.registers == {"rip": 0xFFFF82D0402A9AF9, "rsp": 3}
    assert (event.function, event.line) == ("f9af9", "vmx.c:1")
    assert found.stops == 1


CODE = {0x7AA9AFA: BTR_SN, 0x7AA824D: BTR_ON}


def test_two_cpus_in_one_turn_come_in_their_order_with_what_each_left() -> None:
    # CPU 0 resets ON, then CPU 1 resets SN, which was set: CPU 0 had left it set.
    found = watchpoints(Played(BOTH, code=CODE, carry=(1, 1), memory=(0xF20003, 0xF20000)))
    events = [found.stop_event(0.1), found.stop_event(0.1)]
    assert [(event.cpu, event.word) for event in events if event] == [(0, 0xF20002), (1, 0xF20000)]
    assert (found.stops, found.unsure) == (1, 0)


def test_what_one_sets_and_the_other_takes_in_one_turn_is_seen_twice() -> None:
    # Before and after memory is the same: CPU 0 set ON and CPU 1 reset it at once.
    code = {0x7AA9AFA: BTR_ON.replace(b"\xb7", b"\xb6"), 0x7AA824D: bytes.fromhex("f00fbaafa006000000")}
    found = watchpoints(Played(BOTH, code=code, carry=(0, 1), memory=(0xF20000,)))
    events = [found.stop_event(0.1), found.stop_event(0.1)]
    assert [event.word for event in events if event] == [0xF20001, 0xF20000]


def test_a_plain_store_of_the_second_one_is_taken_back_to_what_was_there() -> None:
    said = BOTH.replace("0x000007e486a0\n(1) [", "0x000007e486a2\n(1) [")
    found = watchpoints(Played(said, code={0x7AA824D: BTR_ON}, carry=(1, 0), memory=(0xF20001, 0xF30000)))
    events = [found.stop_event(0.1), found.stop_event(0.1)]
    assert [event.word for event in events if event] == [0xF20000, 0xF30000]
    assert found.unsure == 1


def test_a_store_in_guest_mode_is_the_processor_s() -> None:
    event = watchpoints(Played(ONE, guest=1)).stop_event(0.1)
    assert event
    assert event.function == PROCESSOR
    assert "rsp" not in event.registers


def test_a_function_that_is_entered_is_told_by_its_name() -> None:
    event = watchpoints(Played(ENTRY), hooks={"vmx_pi_switch_to": 0xFFFF82D0402A9AF1}).stop_event(0.1)
    assert event
    assert (event.kind, event.cpu, event.function) == ("hook", 0, "vmx_pi_switch_to")


def test_nothing_is_left_behind() -> None:
    played = Played(ONE)
    watchpoints(played, hooks={"f": 0xFFFF82D0402A9AF1}).disarm()
    assert played.told[-3:] == ["unwatch", "blist", "del 1"]


def test_another_reason_to_stop_and_too_many_places_are_one_line() -> None:
    with pytest.raises(TargetError, match="for another reason"):
        watchpoints(Played("Next at t=5\n(0) [0x1] 0008:1 (unk. ctxt): nop ; 90\n<bochs:3> ")).stop_event(0.1)
    with pytest.raises(TargetError, match="watches 16 places at most, not 17"):
        watchpoints(Played(), count=MOST + 1)
