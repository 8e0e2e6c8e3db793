"""What symbols alone tell of a Xen: of a simulated one what was written, of a real capture what its profile tells."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from inspector.kernels.paging import PageTables
from inspector.targets.open_file import open_file
from inspector.targets.sim.simulation import Simulation
from inspector.xen.layout_facts import STACK_SIZE, Facts
from sim_backend.machine.registers import Still
from structs.xen.layout import Place, StructLayout

UNMAPPED = 0xFFFF8A0000000000


@pytest.fixture
def facts(layout, look):
    xen = look()
    return Facts(xen.profile, xen.memory)


@pytest.fixture(scope="module")
def real(golden):
    """A real capture, and its snapshot by the profile of its build."""
    with open_file(golden("lost-wakeup")) as target:
        inspection = Inspection(target)
        assert inspection.xen
        yield Facts(inspection.xen.profile, inspection.xen.memory), inspection.snapshot, inspection.xen


class Bare:
    """Symbols of a Xen that has none."""

    def has_symbol(self, name):
        return False


def test_a_simulated_machines_cpus(facts, layout):
    assert facts.nr_cpu_ids >= 2
    assert facts.per_cpu_offsets.keys() >= {0, 1}
    assert facts.idle_vcpus.keys() >= {0, 1}
    for cpu in (0, 1):
        place = facts.per_cpu("curr_vcpu")[cpu]
        assert facts.physical(place) == layout.percpu(cpu, "curr_vcpu")
        assert facts.word(place) == layout.memory.u64(layout.percpu(cpu, "curr_vcpu"))


def test_a_real_machines_cpus(real):
    facts, snapshot, _ = real
    online = {cpu.cpu: cpu for cpu in snapshot.cpus if cpu.online}
    assert online.keys() <= facts.per_cpu_offsets.keys()
    for cpu, known in online.items():
        assert facts.per_cpu_offsets[cpu] == known.offset
        assert facts.idle_vcpus[cpu]
    assert facts.stack_tops.keys() <= facts.idle_vcpus.keys()
    assert all(top % STACK_SIZE == 0 for top in facts.stack_tops.values())


def test_words_values_and_members(real):
    facts, snapshot, xen = real
    vcpu = next(vcpu for vcpu in snapshot.vcpus if vcpu.pi)
    offset = xen.profile.offset("vcpu", "domain")
    (row,) = xen.structs("vcpu", [vcpu.address], "domain", "vcpu_id", "processor")
    assert facts.word(vcpu.address + offset) == row["domain"]
    assert facts.words(vcpu.address + offset, 1) == [row["domain"]]
    layout = StructLayout("vcpu", 4096, {"vcpu_id": Place(xen.profile.offset("vcpu", "vcpu_id"), 4)})
    assert facts.member(layout, vcpu.address, "vcpu_id") == row["vcpu_id"] == vcpu.vcpu
    assert facts.member(layout, vcpu.address, "processor") is None, "the layout has none"
    assert facts.value("nr_cpu_ids", 4) == facts.nr_cpu_ids
    assert facts.value("no_such_symbol") is None


@pytest.mark.parametrize(("bit", "bits"), [(0, 1), (3, 2), (0, 8), (5, 3), (0, 0)])
def test_a_bit_field(facts, layout, bit, bits):
    address = layout.virtual(layout.new_pages())
    layout.memory.write(layout.physical(address) + 4, b"\xb6\xff")
    wanted = 0xB6 >> bit & (1 << bits) - 1 if bits else 0xB6
    assert facts.at(address, Place(4, 1, bit, bits)) == wanted


def test_what_is_not_there_is_no_fact(real):
    facts, *_ = real
    assert facts.word(UNMAPPED) is None
    assert facts.at(UNMAPPED, Place(0, 8, 1, 1)) is None
    assert facts.words(UNMAPPED, 4) == []
    assert facts.physical(UNMAPPED) is None
    assert not facts.readable(UNMAPPED)
    assert not facts.readable(0x1000), "no address of Xen's"
    assert facts.list_nodes(UNMAPPED) is None
    assert facts.per_cpu("no_such_variable") == {}


def test_a_xen_without_symbols(real):
    facts, *_ = real
    bare = Facts(Bare(), facts.memory)
    assert bare.nr_cpu_ids == 0
    assert bare.idle_vcpus == bare.per_cpu_offsets == bare.stack_tops == bare.per_cpu("curr_vcpu") == {}


def test_an_absurd_number_of_cpus_is_bounded(facts, layout):
    place = facts.physical(facts.symbols.symbol("nr_cpu_ids"))
    layout.memory.write(place, b"\xff\xff\xff\xff")
    again = Facts(facts.symbols, PageTables(Simulation(Still(layout)), facts.memory.root))
    assert again.nr_cpu_ids < 1 << 16


class TestList:
    """`struct list_head`: next, then prev."""

    @pytest.fixture
    def ring(self, facts, layout):
        """A list of three, by its addresses: the head first."""
        start = layout.virtual(layout.new_pages())
        places = [start + 0x20 * number for number in range(4)]

        def link(at, following, before):
            layout.memory.set_u64(layout.physical(at), following)
            layout.memory.set_u64(layout.physical(at) + 8, before)

        for number, at in enumerate(places):
            link(at, places[(number + 1) % 4], places[number - 1])
        return facts, places, link

    def test_a_whole_one(self, ring):
        facts, (head, *nodes), _ = ring
        assert facts.list_nodes(head) == nodes

    def test_an_empty_one(self, ring):
        facts, (head, *_), link = ring
        link(head, head, head)
        assert facts.list_nodes(head) == []

    @pytest.mark.parametrize("wrong", ["next", "prev", "nowhere", "too long"])
    def test_one_that_is_not_whole(self, ring, wrong):
        facts, (head, one, two, three), link = ring
        if wrong == "next":
            link(two, one, one)
        elif wrong == "prev":
            link(two, three, head)
        elif wrong == "nowhere":
            link(two, UNMAPPED, one)
        assert facts.list_nodes(head, limit=2 if wrong == "too long" else 4096) is None
