"""vCPUs in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.analysis.vcpu_words import choose, descriptor, destination, document, vector_name, vectors
from inspector.base.errors import UsageError
from inspector.model.snapshot import MARKER, Cpu, Descriptor, Snapshot, Vcpu

PI = Descriptor(0x1000, (0x31, 0x52), on=1, sn=0, nv=0xF2, ndst=3)
VCPU = Vcpu(1, 2, cpu=0, runstate="blocked", pause_flags=1, pi=PI)
MACHINE = Snapshot(
    "a machine",
    vcpus=(Vcpu(0, 0), VCPU),
    cpus=(Cpu(0, online=True, apic_id=0), Cpu(1, online=False, apic_id=3)),
    x2apic=True,
    posted_intr_vector=0xF1,
    pi_wakeup_vector=0xF2,
)


def test_a_vcpu_is_chosen_by_its_name_and_what_there_is_is_told():
    assert choose(MACHINE, "d1v2") is VCPU
    with pytest.raises(UsageError, match=r"there is no vCPU d9v9; those that were found: d0v0, d1v2$"):
        choose(MACHINE, "d9v9")
    with pytest.raises(UsageError, match="found: none"):
        choose(Snapshot("empty"), "d1v2")


def test_of_many_only_some_are_told():
    many = Snapshot("big", vcpus=tuple(Vcpu(1, number) for number in range(500)))
    with pytest.raises(UsageError) as error:
        choose(many, "d2v0")
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("ndst", "words"),
    [(0, "CPU 0"), (3, "CPU 1 offline"), (9, "APIC 0x9?"), (MARKER, "none yet")],
)
def test_a_destination_in_words(ndst, words):
    assert destination(MACHINE, ndst) == words


def test_a_destination_stays_as_it_stands_where_the_mode_is_not_known():
    unknown = replace(MACHINE, x2apic=None)
    assert destination(unknown, 0x300) == "0x300"
    assert destination(unknown, MARKER) == "none yet"
    assert destination(replace(MACHINE, x2apic=False), 0x300) == "CPU 1 offline"


def test_vectors_and_what_they_are_for():
    assert vectors(PI.pir) == "0x31 0x52"
    assert vectors(()) == "-"
    assert [vector_name(MACHINE, nv) for nv in (0xF1, 0xF2, 0x30, 0)] == ["0xf1 notify", "0xf2 wakeup", "0x30", "0x00"]
    # A Xen whose vectors are not known has vector 0 for neither.
    assert vector_name(Snapshot("old", posted_intr_vector=0, pi_wakeup_vector=0), 0) == "0x00"


def test_a_document_has_the_same_keys_for_every_vcpu():
    whole, bare = (document(MACHINE, vcpu) for vcpu in (VCPU, MACHINE.vcpus[0]))
    assert whole.keys() == bare.keys()
    assert whole["pi"] == {"address": 0x1000, "pir": [0x31, 0x52], "on": 1, "sn": 0, "nv": 0xF2, "ndst": 3}
    assert (bare["pi"], bare["situation"], bare["evidence"]) == (None, None, [])
    assert descriptor(None) is None
