"""What Bochs' debugger prints, as it was seen, and a conversation through a FIFO and a file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.base.errors import TargetError
from inspector.targets.live.bochs_debugger import BochsDebugger, numbers, registers, system_registers

REGISTERS = """\
CPU0:
rax: 00000000_00000052
rbp: 00000000_00000004
r8 : 00000000_00000000
r15: ffff82d0_40203020
rip: 00000000_0010016c
eflags: 0x00000206: id vip vif ac vm rf nt IOPL=0 of df IF tf sf zf af PF cf
<bochs:90> """
SHOWN = """\
show param name: <cpu0.VMX>
VMX = {
  vmcsptr = 0x7e44000
  in_vmx = true
  in_vmx_guest = false
  vm_cr3_target_cnt = 0
  VMCS_CACHE = {
    pid_addr = 0x7e48680
"""


def test_registers_and_parameters_are_read() -> None:
    found = registers(REGISTERS)
    assert found == {"rax": 0x52, "rbp": 4, "r8": 0, "r15": 0xFFFF82D040203020, "rip": 0x10016C, "eflags": 0x206}
    shown = numbers(SHOWN)
    assert shown["vmcsptr"] == 0x7E44000
    assert (shown["in_vmx"], shown["in_vmx_guest"], shown["vm_cr3_target_cnt"]) == (1, 0, 0)
    assert shown["pid_addr"] == 0x7E48680
    assert numbers("") == {}


SYSTEM = """\
sreg
es:0x0000, dh=0x00001000, dl=0x00000000, valid=0
cs:0xe008, dh=0x00af9b00, dl=0x0000ffff, valid=31
\tCode segment, base=0x00000000, limit=0xffffffff, Execute/Read, Non-Conforming, Accessed, 64-bit
tr:0xe040, dh=0x40008b58, dl=0x10400067, valid=1
CR0=0x8005003b: PG cd nw AC WP NE ET TS em MP PE
CR2=page fault laddr=0x0000000000000010
CR3=0x000007ec3000
    PCD=page-level cache disable=0
CR8: 0x1
EFER=0x00000d01: ffxsr NXE LMA LME SCE
XCR0=0x00000003: tiledata
"""


def test_segment_and_control_registers_are_read() -> None:
    found = system_registers(SYSTEM)
    expected = {"es": 0, "cs": 0xE008, "cr0": 0x8005003B, "cr2": 0x10, "cr3": 0x7EC3000, "cr8": 1, "efer": 0xD01}
    assert found == expected


class Played:
    """A process in Bochs' place, and what a debugger would do with its FIFO and its file."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
        self.commands, self.answers = directory / "commands", directory / "answers"
        os.mkfifo(self.commands)
        self._fifo = os.open(self.commands, os.O_RDWR)
        self.answers.write_bytes(b"<bochs:1> ")
        self.heard: list[str] = []
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self) -> None:
        with os.fdopen(self._fifo, "rb", buffering=0) as commands:
            while line := commands.readline().decode().strip():
                self.heard.append(line)
                if line == "c":
                    continue
                with self.answers.open("ab") as answers:
                    answers.write(f"answer to {line}\n<boc".encode())
                    answers.flush()
                    answers.write(f"hs:{len(self.heard) + 1}> ".encode())

    def debugger(self) -> BochsDebugger:
        return BochsDebugger(self.process.pid, self.commands, self.answers)


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    bochs = Played(tmp_path)
    yield bochs
    bochs.process.kill()
    bochs.process.wait()


def test_an_answer_is_whole_and_belongs_to_its_command(played: Played) -> None:
    debugger = played.debugger()
    assert not debugger.running
    assert "answer to r\n" in debugger.command("r")
    assert "answer to blist\n" in debugger.command("blist")
    debugger.cont()
    assert debugger.running
    assert debugger.wait(0.05) is None
    debugger.close()
    debugger.close()


def test_a_store_is_made_of_pieces_of_four_bytes(played: Played) -> None:
    debugger = played.debugger()
    debugger.store(0x1000, 0xFFFF82D040203020, 8)
    assert played.heard == ["setpmem 0x1000 4 0x40203020", "setpmem 0x1004 4 0xffff82d0"]


def test_it_is_not_interrupted_while_it_reads_that_it_is_to_run(played: Played) -> None:
    """A signal in the middle of a line has readline lose the rest of it, and Bochs wait for its end for ever."""
    debugger = played.debugger()
    signalled: list[bytes] = []

    def signal() -> None:
        signalled.append(played.answers.read_bytes())
        with played.answers.open("ab") as answers:
            answers.write(b"stopped\n<bochs:3> ")

    debugger._signal = signal  # type: ignore[method-assign]
    debugger.cont()

    def echo() -> None:
        for part in (b"c", b"\n"):
            time.sleep(0.1)
            with played.answers.open("ab") as answers:
                answers.write(part)

    threading.Thread(target=echo).start()
    assert "stopped" in debugger.stop()
    assert signalled == [b"<bochs:1> c\n"]


@pytest.mark.parametrize(
    ("said", "half"), [("<bochs:1> c", True), ("<bochs:1> c\n", False), ("<bochs:1> c\n(0) ", False)]
)
def test_one_that_comes_later_knows_whether_it_has_read_that(played: Played, said: str, half: bool) -> None:
    played.answers.write_text(said)
    debugger = played.debugger()
    assert debugger.running
    assert debugger._read_half == half


def test_a_bochs_that_is_gone_is_one_line(played: Played) -> None:
    debugger = played.debugger()
    played.process.kill()
    played.process.wait()
    debugger.running = True
    begin = time.monotonic()
    with pytest.raises(TargetError, match=r"has ended|is gone"):
        debugger.wait(30)
    assert time.monotonic() - begin < 20


def test_no_debugger_to_reach_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot be reached"):
        BochsDebugger(os.getpid(), tmp_path / "commands", tmp_path / "answers")
