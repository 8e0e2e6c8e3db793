"""When a Bochs runs, is stopped and is held, and what is another moment. With Bochs: tests/live/test_hvm_lab.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from inspector.base.errors import TargetError
from inspector.targets.live import bochs as module
from inspector.targets.live.bochs import Bochs, BochsMachine

MACHINE = BochsMachine("one", 7, Path("commands"), Path("answers"), {"rip": 8})


class Debugger:
    """A debugger that notes what it is asked for."""

    def __init__(self, log, running):
        self.log, self.running = log, running

    def stop(self):
        self.log.append("stop")
        self.running = False

    def cont(self):
        self.log.append("cont")
        self.running = True

    def close(self):
        self.log.append("debugger closed")


@pytest.fixture
def opened(monkeypatch):
    """Call it for a target whose Bochs runs or not, and the log of what was done to it."""

    def open_it(running=True, machine=MACHINE):
        log = []
        hold = SimpleNamespace(
            recover=lambda: log.append("recover"),
            take=lambda: log.append("take"),
            release=lambda: log.append("release"),
            close=lambda: log.append("hold closed"),
        )
        monkeypatch.setattr(module, "BochsProcess", lambda pid: SimpleNamespace(pid=pid))
        monkeypatch.setattr(module, "BochsHold", lambda pid, answers: hold)
        monkeypatch.setattr(module, "BochsMemory", lambda process: SimpleNamespace())
        monkeypatch.setattr(module, "BochsDebugger", lambda *words: Debugger(log, running))
        monkeypatch.setattr(module.bochs_registers, "cpu_places", lambda process: (0x10, 0x20))
        return Bochs(machine), log

    return open_it


def test_what_an_earlier_reader_held_is_let_go_before_anything_else(opened):
    _, log = opened()
    assert log == ["recover"]


def test_a_machine_that_runs_is_always_another_moment_and_one_that_stands_is_not(opened):
    target, _ = opened(running=True)
    assert len({target.generation for _ in range(3)}) == 3
    target.stop()
    assert len({target.generation for _ in range(3)}) == 1
    stood = target.generation
    target.cont()
    target.stop()
    assert target.generation != stood


def test_held_it_is_of_one_moment_and_goes_on_after(opened):
    target, log = opened(running=True)
    with target.held():
        assert log[-1] == "take"
        assert len({target.generation for _ in range(3)}) == 1
        during = target.generation
    assert log[-2:] == ["release", "cont"]
    assert target.generation != during


def test_it_goes_on_also_if_reading_fails(opened):
    target, log = opened(running=True)
    with pytest.raises(TargetError, match="lost"), target.held():
        raise TargetError("lost")
    assert log[-2:] == ["release", "cont"]


def test_one_that_stands_is_not_held(opened):
    target, log = opened(running=False)
    with target.held():
        pass
    assert log == ["recover"]


@pytest.mark.parametrize("do", ["stop", "cont"])
def test_what_is_held_is_let_go_before_the_debugger_is_asked(opened, do):
    """Bochs would not hear it."""
    target, log = opened(running=True)
    with target.held():
        getattr(target, do)()
        assert log[-2:] == ["release", do]
    assert log.count("release") == 1


@pytest.mark.parametrize("running", [True, False])
def test_it_is_left_as_it_was_found(opened, running):
    target, log = opened(running=running)
    target.stop()
    target.close()
    wanted = ["cont"] if running else []
    assert log[-len(wanted) - 2 :] == [*wanted, "hold closed", "debugger closed"]


def test_one_that_has_gone_is_closed_all_the_same(opened, monkeypatch):
    target, log = opened(running=True)

    def gone():
        raise TargetError("gone")

    monkeypatch.setattr(target.debugger, "cont", gone)
    target.close()
    assert log[-2:] == ["hold closed", "debugger closed"]


def test_cpus_are_read_where_their_registers_are(opened, monkeypatch):
    rows = {0x10: {"rip": 1}, 0x20: {"rip": 2}}
    monkeypatch.setattr(module.bochs_registers, "read", lambda process, cpus, places: [rows[cpu] for cpu in cpus])
    target, _ = opened()
    assert [(cpu.index, cpu.registers) for cpu in target.cpus()] == [(0, {"rip": 1}), (1, {"rip": 2})]
    assert target.registers(1) == {"rip": 2}
    unknown, _ = opened(machine=BochsMachine("one", 7, Path(), Path(), {}))
    assert unknown.cpus() == (), "where the registers are was never learnt"


def test_a_macro_of_a_header_is_told_by_who_uses_it(opened, monkeypatch):
    asked = []

    def lines(address):
        asked.append(address)
        places = [("test_bit", "include/bitops.h", 9), ("vmx_vcpu_block", "arch/vmx.c", 120)]
        return [SimpleNamespace(function=name, file=file, line=line) for name, file, line in places][:address]

    target, _ = opened()
    assert target.where(2) == (None, None), "there are no symbols"
    monkeypatch.setattr(module, "SymbolFile", lambda path: SimpleNamespace(lines=lines))
    target, _ = opened(machine=BochsMachine("one", 7, Path(), Path(), {}, Path("xen-syms")))
    assert target.where(2) == target.where(2) == ("vmx_vcpu_block", "arch/vmx.c:120")
    assert asked == [2], "once"
    assert target.where(1) == (None, None)
