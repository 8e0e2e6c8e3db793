"""CPUs as Linux counts them."""

from __future__ import annotations

import struct

from inspector.linux.cpus import cpus
from structs.pi_desc import PI_DESC
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_linux import ROOT, TEXT


def test_numbers_apic_ids_and_registers(made):
    absent = []
    first, second = cpus(found(made)[0], absent)
    assert absent == []
    assert [(each.cpu, each.apic_id, each.online) for each in (first, second)] == [(0, 0, True), (1, 2, True)]
    assert (first.rip, first.cr3, first.function) == (TEXT + 0x1240, ROOT, "start_kernel+0xc")
    assert (second.rip, second.function) == (None, None)


def test_one_that_is_offline_or_was_never_there(made):
    made.write(made.symbols["__cpu_online_mask"], struct.pack("<Q", 1))
    made.set_per_cpu("x86_cpu_to_apicid", 0, struct.pack("<I", 0xFFFFFFFF))
    assert [(each.cpu, each.online) for each in cpus(found(made)[0], [])] == [(1, False)]


def test_a_descriptor_of_its_own(made):
    place = made.set_per_cpu("posted_msi_pi_desc", 1, PI_DESC.build({"pir": 1 << 0x41, "on": 1, "nv": 0xEB}))
    first, second = cpus(found(made)[0], [])
    assert first.posted_msi.pir == ()
    assert (second.posted_msi.address, second.posted_msi.pir, second.posted_msi.nv) == (made.at(place), (0x41,), 0xEB)
