"""The VT-d unit: posting, the order of its checks, faults, its cache and queue; local APICs."""

from __future__ import annotations

import pytest

from inspector.capture.capture import take
from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.logic.lapic import Lapic
from sim_backend.logic.vtd_engine import clear_faults, flush_entry
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import Scenario
from structs.faults import FRCD
from structs.irte import IRTE, POSTED, REMAPPED
from structs.pi_desc import PI_DESC
from structs.remapping import Checks

P = 0xF2
DEVICE = 0x0018


@pytest.fixture(params=[False, True], ids=["xapic", "x2apic"])
def machine(request):
    """A machine at rest with a guest of one vCPU and a device of two vectors; its vCPU is asleep, so nothing moves."""
    layout = LayoutConfig(
        cpus=2, x2apic=request.param, domains=(DomainConfig(1, 1),), devices=(DeviceConfig(DEVICE, 2, 1),)
    )
    machine = Machine(Scenario(layout=layout))
    machine.settle()
    machine.sleep("d1v0")
    machine.settle()
    return machine


def msi(machine, number=0):
    return machine.layout.device(DEVICE).msis[number]


def entry(machine, number=0):
    return IRTE.parse(machine.memory.read(machine.layout.irte(0, msi(machine, number).index), 16))


def set_entry(machine, record=POSTED, **values):
    """Write an entry's fields, as software would: and have the unit forget what it cached."""
    fields = {name: value for name, value in entry(machine).items() if name in record.by_name}
    machine.memory.write(machine.layout.irte(0, msi(machine).index), record.build(fields | values))
    machine.state.iec.clear()


def set_descriptor(machine, **values):
    raw = machine.layout.pi_desc(1, 0)
    machine.memory.write(raw, PI_DESC.build(dict(PI_DESC.parse(machine.memory.read(raw, 64))) | values))


def descriptor(machine):
    return PI_DESC.parse(machine.memory.read(machine.layout.pi_desc(1, 0), 64))


def faults(machine):
    """What the inspector reads from the unit's registers: reason, source-id, index."""
    found = take(Inspection(Simulation(machine))).units[0].faults
    return [(fault.reason, fault.sid, fault.info >> 48) for fault in found]


@pytest.mark.parametrize(
    ("on", "sn", "urg", "after", "message"),
    [(0, 0, 0, 1, 1), (0, 0, 1, 1, 1), (0, 1, 0, 0, 0), (0, 1, 1, 1, 1)]
    + [(1, sn, urg, 1, 0) for sn in (0, 1) for urg in (0, 1)],
)
def test_a_post(machine, on, sn, urg, after, message):
    """VT-d 5.2.3: ON is set and a message sent if ON was clear, and SN too unless the entry is urgent."""
    set_entry(machine, urg=urg)
    set_descriptor(machine, on=on, sn=sn)
    machine.post("00:03.0")
    lines = [str(event) for event in machine.events_of(3 if message else 2)]
    assert (descriptor(machine)["on"], descriptor(machine)["sn"]) == (after, sn)
    assert descriptor(machine)["pir"] == 1 << 0x30
    assert sum("sends its interrupt" in line for line in lines) == message
    if message:
        assert f"CPU {machine.memory.u32(machine.vcpu('d1v0') + machine.o.processor)} LAPIC IRR bit {P:#x}" in lines[-1]
    assert faults(machine) == []


def test_the_message_carries_what_the_post_read(machine):
    """NV and NDST are those of the read-modify-write, whatever Xen stores before the message leaves."""
    set_descriptor(machine, sn=0)
    machine.post("00:03.0")
    list(machine.events_of(2))
    set_descriptor(machine, nv=0xF3)
    assert f"{P:#x}" in str(machine.step())


CASES = {
    "request: reserved": (0x20, None, {}, {"data": 1 << 16}),
    "beyond the table": (0x21, None, {}, {"data": 0xFFFF}),
    "not present": (0x22, REMAPPED, {"p": 0, "im": 0}, {}),
    "posted: reserved bit": (0x24, POSTED, {"rsvd_7_2": 1}, {}),
    "posted: address too wide": (0x24, POSTED, {"pda": 1 << 60}, {}),
    "reserved source type": (0x24, POSTED, {"svt": 3}, {}),
    "remapped: reserved delivery mode": (0x24, REMAPPED, {"im": 0, "dlm": 3}, {}),
    "compatibility format": (0x25, None, {}, {"address": 0xFEE0_0000}),
    "another device": (0x26, POSTED, {"sid": 0x20}, {}),
    "another bus": (0x26, POSTED, {"svt": 2, "sid": 0x0102}, {}),
    "descriptor nowhere": (0x27, POSTED, {"pda": 1 << 40}, {}),
    "no descriptor": (0x28, POSTED, {}, {}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fpd", [0, 1])
def test_faults(machine, case, fpd):
    """VT-d 5.1.4.1: the reason, what is recorded, and which ones FPD keeps quiet. The descriptor stays as it is."""
    reason, record, values, request = CASES[case]
    set_entry(machine, record or POSTED, **values, fpd=fpd)
    if reason == 0x28:
        set_descriptor(machine, rsvd_271_258=1)
    before = dict(descriptor(machine))
    message = msi(machine)
    machine.request("00:03.0", request.get("address", message.address), request.get("data", message.data))
    machine.settle()
    index = {0x20: 0, 0x21: message.index + 0xFFFF & 0xFFFF, 0x25: 0}.get(reason, message.index)
    qualified = reason in (0x22, 0x24, 0x26, 0x27, 0x28)
    assert faults(machine) == ([] if fpd and qualified else [(reason, DEVICE, index)])
    assert dict(descriptor(machine)) == before
    assert machine.crashed is None


def test_the_destination_must_have_the_units_form(machine):
    """NDST is reserved outside bits 15:8 in xAPIC mode: the marker of an unused descriptor is a fault there."""
    set_descriptor(machine, ndst=0xFFFF_FFFF, sn=0)
    machine.post("00:03.0")
    machine.settle()
    if machine.layout.config.x2apic:
        assert faults(machine) == [], "a broadcast"
    else:
        assert [reason for reason, *_ in faults(machine)] == [0x28]


@pytest.mark.parametrize(("reserved_first", "reason"), [(False, 0x26), (True, 0x24)])
def test_the_place_of_the_reserved_check_is_a_parameter(machine, reserved_first, reason):
    set_entry(machine, sid=0x20, rsvd_7_2=1)
    machine.state.reserved_first = reserved_first
    machine.post("00:03.0")
    machine.settle()
    assert [found for found, *_ in faults(machine)] == [reason]


def test_a_unit_that_cannot_post_faults_on_a_posted_entry(machine):
    """With CAP.PI=0, IM is itself reserved."""
    checks = machine.context.remapping[0].checks
    machine.context.remapping[0].checks = Checks(checks.eime, False, checks.width)
    machine.post("00:03.0")
    machine.settle()
    assert [reason for reason, *_ in faults(machine)] == [0x24]


def test_fault_records_fill_up_and_overflow(machine):
    set_entry(machine, sid=0x20)
    count = machine.context.remapping[0].faults
    for _ in range(count + 1):
        machine.post("00:03.0")
    machine.settle()
    status = machine.memory.u32(machine.layout.register(0, "FSTS"))
    assert len(faults(machine)) == count
    assert status == 0b11, "overflow, pending, first record 0"
    clear_faults(machine.context, machine.context.remapping[0])
    assert faults(machine) == []
    machine.post("00:03.0")
    machine.settle()
    assert len(faults(machine)) == 1


def test_an_interrupt_of_a_device_behind_no_guest_goes_to_its_cpu(machine):
    machine.deassign("00:03.0")
    machine.settle()
    assert entry(machine)["im"] == 0
    machine.post("00:03.0")
    lines = [str(event) for event in machine.events_of(100)]
    assert any(f"takes vector {msi(machine).vector:#x}" in line for line in lines)
    assert faults(machine) == []


def test_the_unit_uses_its_cached_entry_until_it_is_invalidated(machine):
    """Why an update of an entry ends with an invalidation, and waits for it."""
    machine.post("00:03.0")
    machine.settle()
    place = machine.layout.irte(0, msi(machine).index)
    cached = machine.memory.read(place, 16)
    machine.memory.write(place, bytes(16))
    machine.post("00:03.0")
    machine.settle()
    assert faults(machine) == [], "the entry that it has cached"
    machine.memory.write(place, cached)
    machine.deassign("00:03.0")
    machine.settle()
    head, tail = (machine.memory.u64(machine.layout.register(0, name)) for name in ("IQH", "IQT"))
    assert head == tail != 0
    assert (0, msi(machine).index) not in machine.state.iec


def test_an_invalidation_waits_for_messages_that_went_through_the_entry(machine):
    """VT-d 6.5.5: what was fetched before is posted before the invalidation completes. Other entries do not matter."""
    unit, device = machine.context.units[0], machine.context.devices[DEVICE]
    place = machine.layout.register(0, "IQH")
    for sent, invalidated, waits in ((0, 0, True), (1, 0, False)):
        machine.post("00:03.0", sent)
        machine.order(flush_entry, 0, msi(machine, invalidated).index)
        assert device.turn(machine.context), "the entry is fetched"
        assert machine.context.toolstack.turn(machine.context), "the invalidation is queued"
        head = machine.memory.u64(place)
        assert unit.turn(machine.context) != waits
        assert (machine.memory.u64(place) == head) == waits
        while device.turn(machine.context):
            pass
        machine.settle()
        assert machine.memory.u64(place) != head
        assert descriptor(machine)["pir"]


def test_a_fault_record_is_as_the_specification_draws_it(machine):
    set_entry(machine, sid=0x20)
    machine.post("00:03.0")
    machine.settle()
    record = FRCD.parse(machine.memory.read(machine.layout.register(0, "FRCD"), 16))
    wanted = {"f": 1, "fr": 0x26, "sid": DEVICE, "fi": msi(machine).index << 48}
    assert {name: record[name] for name in wanted} == wanted


def test_a_local_apic(machine):
    lapic = Lapic.of(machine.layout.memory, 0)
    assert lapic.request(0x41) == 0
    assert lapic.request(0x41) == 1
    lapic.request(0x45)
    assert lapic.deliverable() == 0x45
    lapic.acknowledge(0x45)
    assert lapic.deliverable() == 0, "the same priority class"
    lapic.request(0x51)
    assert lapic.deliverable() == 0x51
    lapic.acknowledge(0x51)
    assert (lapic.end_of_interrupt(), lapic.end_of_interrupt(), lapic.end_of_interrupt()) == (0x51, 0x45, -1)
    assert lapic.deliverable() == 0x41
    again = Lapic.of(machine.layout.memory, 0)
    assert (again.irr, again.isr) == (lapic.irr, lapic.isr) == (1 << 0x41, 0)
