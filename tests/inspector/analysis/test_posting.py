"""What a post does now, for every state of the descriptor and the vCPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.analysis.posting import destination, effect
from inspector.model.snapshot import MARKER, Cpu, Descriptor, Snapshot, Vcpu

P, W = 0xF1, 0xF2
PI = Descriptor(0x1000, (), on=0, sn=0, nv=P, ndst=3)
VCPU = Vcpu(1, 0, cpu=1, runstate="running", is_running=True, in_guest=True, pi=PI)
CPUS = (Cpu(0, online=True, apic_id=0), Cpu(1, online=True, apic_id=3), Cpu(2, online=False, apic_id=5))
MACHINE = Snapshot("a machine", cpus=CPUS, x2apic=True, posted_intr_vector=P, pi_wakeup_vector=W)
BLOCKED = replace(VCPU, runstate="blocked", pause_flags=1, is_running=False, in_guest=False)


def told(vcpu=VCPU, machine=MACHINE, **fields):
    return "\n".join(effect(machine, replace(PI, **fields), vcpu))


@pytest.mark.parametrize(
    ("vcpu", "fields", "says"),
    [
        (VCPU, {}, "CPU 1 executes d1v0: the processor takes the vector in at once"),
        (replace(VCPU, in_guest=False), {}, "a softirq makes it look at PIR before it enters d1v0"),
        (replace(BLOCKED, pause_flags=0), {}, "finds nothing to do, unless it enters the vCPU next"),
        (BLOCKED, {}, "d1v0 is blocked, and nothing wakes it"),
        (replace(BLOCKED, blocking_list=1), {"nv": W}, "finds d1v0 with ON=1, takes it off and wakes it"),
        (replace(BLOCKED, blocking_list=0), {"nv": W}, "where d1v0 is not: nothing wakes it"),
        (replace(VCPU, blocking_list=1), {"nv": W}, "it is awake already"),
        (VCPU, {"nv": W}, "where d1v0 is not: nothing to do"),
        (None, {"nv": W}, "for vCPUs with ON=1 and wakes them"),
        (VCPU, {"nv": 0x30}, "neither Xen's notification nor its wakeup vector"),
        (VCPU, {"ndst": 5}, "APIC 0x5, which no online CPU has"),
        (VCPU, {"ndst": 5}, "the notification is lost, and ON stays 1"),
        (VCPU, {"sn": 1}, "SN suppresses the notification"),
        (VCPU, {"on": 1}, "takes it in when that notification arrives, or at its next VM exit"),
        (BLOCKED, {"on": 1}, "if no vector 0xf1 is pending at its destination, nothing wakes it"),
        (replace(VCPU, in_guest=False), {"on": 1}, "Xen takes PIR in before it next enters d1v0"),
        (VCPU, {"reserved": 1}, "the unit refuses: reserved bits"),
    ],
)
def test_each(vcpu, fields, says):
    assert says in told(vcpu, **fields)


def test_where_the_mode_is_not_known_both_readings_are_told():
    words = told(machine=replace(MACHINE, x2apic=None), ndst=0x300)
    assert "APIC 0x300 if x2APIC, 0x3 if xAPIC (the mode is not known here)" in words
    assert "lost" not in words


def test_without_x2apic_bits_beside_the_id_are_reserved():
    assert "the unit refuses" in told(machine=replace(MACHINE, x2apic=False), ndst=3)
    assert "sends vector 0xf1 to APIC 0x3, CPU 1" in told(machine=replace(MACHINE, x2apic=False), ndst=0x300)


@pytest.mark.parametrize(("ndst", "cpu"), [(0, 0), (3, 1), (5, None), (9, None), (MARKER, None)])
def test_a_destination_is_an_online_cpu(ndst, cpu):
    found = destination(MACHINE, ndst)
    assert (found.cpu if found else None) == cpu
    assert destination(replace(MACHINE, x2apic=None), ndst) is None


@given(
    st.builds(
        Descriptor,
        st.just(0),
        st.just(()),
        on=st.integers(0, 1),
        sn=st.integers(0, 1),
        nv=st.integers(0, 255),
        ndst=st.sampled_from((0, 3, 5, 0x300, MARKER)),
        reserved=st.sampled_from((0, 1)),
    ),
    st.sampled_from((None, VCPU, BLOCKED)),
    st.sampled_from((None, True, False)),
)
def test_exactly_one_thing_happens_in_the_unit(pi, vcpu, x2apic):
    first, *_ = effect(replace(MACHINE, x2apic=x2apic), pi, vcpu)
    sends, refuses = ", and sends vector" in first, "refuses" in first
    assert sends == (not refuses and not pi.on and not pi.sn)
