"""Routes: from each end of an interrupt to the other, and what happens if it fires."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.analysis.route import by_descriptor, by_index, by_source, routes
from inspector.model.interrupts import Pin
from inspector.model.snapshot import Cpu, Descriptor, Snapshot, Vcpu
from inspector.model.vtd import Platform, VtdUnit
from structs.irte import IRTE, POSTED, REMAPPED, source_matches

P, W = 0xF1, 0xF2


def machine(*entries: dict[str, int], cap_pi: int = 1, **pi: int) -> Snapshot:
    """d1v0 runs in the guest on CPU 0; the unit has these entries, from index 0 on."""
    raw = b"".join((POSTED if entry.get("im") else REMAPPED).build({"p": 1, **entry}) for entry in entries)
    descriptor = Descriptor(**{"address": 0x1000, "pir": (), "on": 0, "sn": 0, "nv": P, "ndst": 0, **pi})  # type: ignore[arg-type]
    vcpu = Vcpu(
        1, 0, hvm=True, cpu=0, runstate="running", is_running=True, in_guest=True, hooks=("block",), pi=descriptor
    )
    return Snapshot(
        "a machine",
        version="4.20.3",
        x2apic=True,
        posted_intr_vector=P,
        pi_wakeup_vector=W,
        cpus=(Cpu(0, 0),),
        vcpus=(vcpu,),
        pins=(Pin(0, 4, 0),),
        units=(
            VtdUnit(
                0,
                0xFED90000,
                base=0x10000,
                size=256,
                eime=1,
                cap_pi=cap_pi,
                indices=tuple(range(len(entries))),
                raw=raw,
                platform=(Platform(3, 0, 0xF0F8),),
            ),
        ),
    )


FROM_NIC = {"im": 1, "pda": 0x1000, "vector": 0x61, "sid": 0x18, "svt": 1}


def test_from_an_entry_to_the_vcpu_and_back() -> None:
    snapshot = machine({"sid": 0xF0F8, "svt": 1}, FROM_NIC)
    (forth,) = routes(snapshot, by_index(1))
    assert forth.vcpu is snapshot.vcpus[0]
    assert "without a VM exit" in " ".join(forth.fires)
    assert routes(snapshot, by_descriptor(0x1000)) == routes(snapshot, by_source(0x18)) == [forth]
    assert routes(snapshot, by_descriptor(0x2000)) == []
    assert routes(snapshot, by_index(1), unit=7) == []
    (pin,) = routes(snapshot, by_source(0xF0F8))
    assert str(pin.source) == "IO-APIC 0 pin 4"


@pytest.mark.parametrize(
    ("entry", "pi", "says"),
    [
        ({}, {"on": 1}, "sends nothing: ON=1"),
        ({}, {"sn": 1}, "SN suppresses"),
        ({}, {"nv": 0x41}, "neither Xen's notification nor its wakeup vector"),
        ({}, {"nv": W}, "where d1v0 is not"),
        ({}, {"ndst": 5}, "is lost"),
        ({}, {"reserved": 1 << 300}, "refuses"),
        ({}, {"pir": (0x61,), "on": 1}, "holds vector 0x61 already"),
        ({"pda": 0x2000}, {}, "the descriptor of no vCPU"),
        ({"rsvd_7_2": 1}, {}, "fault 0x24"),
    ],
)
def test_what_happens_if_it_fires(entry: dict[str, int], pi: dict[str, int], says: str) -> None:
    (route,) = routes(machine(FROM_NIC | entry, **pi), by_index(0))
    assert says in " ".join(route.fires)


def test_a_unit_that_cannot_post_is_told() -> None:
    (route,) = routes(machine(FROM_NIC, cap_pi=0), by_index(0))
    assert "cannot post" in route.fires[0]


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=20), st.integers(0, 0xFFFF))
def test_the_devices_that_may_use_an_entry_are_those_that_hardware_lets(raw: list[bytes], sid: int) -> None:
    snapshot = Snapshot(
        "any", units=(VtdUnit(0, 0, base=0, size=256, indices=tuple(range(len(raw))), raw=b"".join(raw)),)
    )
    found = [route.entry["index"] for route in routes(snapshot, by_source(sid))]
    entries = [IRTE.parse(one) for one in raw]
    assert found == [at for at, entry in enumerate(entries) if entry["svt"] and source_matches(entry, sid)]


@pytest.mark.parametrize(
    ("entry", "eime", "said"),
    [
        ({"dst": 0x101}, 0, "fault 0x24: reserved bits or values of the entry are set (dst=0x101"),
        ({"dlm": 3}, 1, "fault 0x24: reserved bits or values of the entry are set (dlm=0x3 (reserved))"),
        ({"dlm": 6}, 1, "(dlm=0x6 (reserved))"),
        ({"svt": 3}, 1, "(svt=0x3 (reserved))"),
        ({"svt": 2, "sid": 0x0501}, 1, "fault 0x26: no bus lies between 0x5 and 0x1"),
        ({"vector": 0x0F}, 1, "whose local APIC refuses it: vectors below 0x10 are illegal"),
        ({"dlm": 2}, 1, "an SMI is sent to APIC 0x0, CPU 0; the firmware's handler takes it"),
        ({"dlm": 4}, 1, "an NMI is sent to APIC 0x0, CPU 0; its handler there takes it"),
        ({"dlm": 5}, 1, "INIT is sent to APIC 0x0, CPU 0: that CPU is reset"),
        ({"dlm": 7}, 1, "ExtINT is sent to APIC 0x0, CPU 0, which asks the 8259"),
        (
            {"vector": 0x31, "dst": 7},
            1,
            "is sent to APIC 0x7: no online CPU has that APIC ID, and the interrupt is lost",
        ),
        ({"vector": 0x31, "dm": 1, "dst": 1}, 1, "sent to cluster 0, member 0, CPU 0; Xen's handler there takes it"),
        ({"vector": 0x31, "dst": 0}, 0, "vector 0x31 (fixed) is sent to APIC 0x0, CPU 0; Xen's handler there takes it"),
    ],
)
def test_what_the_unit_and_the_apic_do_with_a_remapped_entry(entry: dict[str, int], eime: int, said: str) -> None:
    snapshot = machine({"svt": 1, "sid": 0x18, **entry})
    snapshot = replace(snapshot, units=(replace(snapshot.units[0], eime=eime),))
    (route,) = routes(snapshot, by_index(0))
    assert said in route.fires[0]


def test_where_there_is_no_xen_none_takes_it() -> None:
    snapshot = replace(machine({"svt": 1, "sid": 0x18, "vector": 0x31}), version=None, cpus=())
    (route,) = routes(snapshot, by_index(0))
    assert route.fires == ["vector 0x31 (fixed) is sent to APIC 0x0; the handler there takes it"]


def test_a_device_of_one_segment_uses_that_segments_units() -> None:
    one = machine({"svt": 1, "sid": 0x18, "vector": 0x31})
    (unit,) = one.units
    snapshot = replace(one, units=(unit, replace(unit, index=1, segment=1)))
    assert [route.unit.index for route in routes(snapshot, by_source(0x18))] == [0, 1]
    assert [route.unit.index for route in routes(snapshot, by_source(0x18, segment=1))] == [1]
    assert routes(snapshot, by_source(0x18, segment=2)) == []
