"""What CPUs execute, in real captures: functions by their real extents, the way there, and whether they idle."""

from __future__ import annotations

import pytest

from inspector.audit import audit
from inspector.base.errors import NotReadable
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import IDLE, IN_XEN
from inspector.targets.open_file import open_file
from inspector.xen import functions
from inspector.xen.find import find


@pytest.fixture
def snapshot_of(golden):
    """Call it with a capture's name for its snapshot."""

    def read(name):
        with open_file(golden(name)) as target:
            return Inspection(target).snapshot

    return read


def test_the_way_to_a_vcpu_that_is_just_blocking(snapshot_of):
    cpu = snapshot_of("blocking-in-progress").by_cpu[1]
    assert (cpu.mode, cpu.current) == (IN_XEN, "d1v1")
    assert cpu.function == "_spin_unlock_irqrestore+0x30"
    names = [name.split("+")[0] for name in cpu.backtrace]
    assert names[:3] == ["vmx_vcpu_block", "vcpu_block", "do_sched_op"]
    assert cpu.between_steps is True


def test_a_cpu_at_hlt_idles_though_hlt_lies_far_into_its_function(snapshot_of):
    cpu = snapshot_of("xapic-4-cpus").by_cpu[0]
    assert cpu.function == "default_idle+0xc7"
    assert cpu.mode == IDLE


def test_an_offline_cpu_waits_in_play_dead(snapshot_of):
    cpu = snapshot_of("cpu-offline-before-fixup").by_cpu[1]
    assert cpu.function.startswith("default_dead_idle+")
    assert (cpu.mode, cpu.online) == (IDLE, False)


def test_a_capture_without_a_table_of_symbols_knows_the_start_of_default_idle_only(golden, monkeypatch):
    monkeypatch.setattr(functions, "functions", lambda xen: None)
    with open_file(golden("xapic-4-cpus")) as target:
        xen = find(target)
        start = xen.profile.symbol("default_idle")
        assert functions.idles(xen, start + 0x3F)
        assert not functions.idles(xen, start + 0xC7)
        assert functions.whereabouts(xen, {"rip": start, "rsp": 0}) == functions.Whereabouts()


class Overlaid:
    """A target with other bytes at a physical address, which it need not hold, and no registers."""

    def __init__(self, target, address, content):
        self.target, self.address, self.content = target, address, content

    def __getattr__(self, name):
        return getattr(self.target, name)

    def cpus(self):
        return ()

    def read(self, address, size):
        if self.address <= address and address + size <= self.address + len(self.content):
            return self.content[address - self.address :][:size]
        return self.target.read(address, size)

    def read_parts(self, wanted):
        parts = []
        for address, size in wanted:
            try:
                parts.append(self.read(address, size))
            except NotReadable:
                parts.append(None)
        return parts


@pytest.mark.parametrize("waiting", [True, False])
def test_every_cpu_in_mwait_makes_a_verdict_of_a_suspicion(golden, waiting):
    with open_file(golden("lost-wakeup")) as target:
        xen = find(target)
        start = xen.profile.symbol("irq_stat")
        content = bytearray(128 * xen.variable("nr_cpu_ids", 4))
        for cpu in range(2):
            content[128 * cpu + xen.profile.offset("irq_cpustat_t", "in_mwait")] = waiting
        pages = [xen.memory.translate(at) for at in (start, start + len(content) - 1)]
        assert pages[1] - pages[0] == len(content) - 1
        snapshot = Inspection(Overlaid(target, pages[0], bytes(content))).snapshot
    assert {cpu.mode for cpu in snapshot.online} == {IDLE if waiting else None}
    assert all(cpu.in_mwait is waiting for cpu in snapshot.online)
    (found,) = (finding for finding in audit(snapshot) if finding.rule == "D5")
    assert found.suspicion is not waiting
    if waiting:
        assert "no CPU executes Xen, so nothing is half done" in found.message


@pytest.mark.parametrize(
    ("stack", "between"),
    [
        ((), False),
        (("vmx_vcpu_block", 0x20), True),
        (("context_switch", 0x1EC), True),
        (("context_switch", 0x1EC, "the base"), False),
    ],
)
def test_what_stands_on_a_stack(golden, stack, between):
    """The base holds what `context_switch` left when it emptied the stack; behind it are a guest's registers."""
    with open_file(golden("xapic-4-cpus")) as target:
        xen = find(target)
        registers = {**target.cpus()[0].registers, "rip": xen.profile.symbol("default_idle") + 1}
        top = (registers["rsp"] | functions.STACK_SIZE - 1) + 1
        info, table = xen.profile.size("cpu_info"), functions.functions(xen)
        page = bytearray(0x1000)
        inside = table.function("vmx_vcpu_block").address + 0x20
        page[-info : 8 - info] = inside.to_bytes(8, "little")
        if stack:
            at = -info - (8 if stack[2:] else 24)
            page[at : at + 8] = (table.function(stack[0]).address + stack[1]).to_bytes(8, "little")
        physical = xen.memory.translate(top - 0x1000)
        changed = find(Overlaid(target, physical, bytes(page)))
        found = functions.whereabouts(changed, {**registers, "rsp": top - 0x1000})
    assert found.between_steps is between
