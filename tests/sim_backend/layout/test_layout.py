"""The layout: what lies where, by the profile's own offsets, for both bundled builds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_backend.layout.builder import DIRECT_MAP, PHYS_START, VMAP
from sim_backend.layout.image import LINEAR_SLOT
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.layout.page_tables import translate
from sim_backend.layout.profiles import named
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import GIB_4, PAGE
from structs.irte import IRTE
from structs.msi import index
from structs.pi_desc import PI_DESC
from structs.registers import BY_NAME, table_entries

BUILDS = (("4.20", 0), ("4.17", 4 << 20))
"""And how much memory there is above 4 GiB."""
NIC, DISK = 0x0018, 0x0308


@pytest.fixture(scope="module", params=BUILDS, ids=str)
def built(request):
    build, high = request.param
    devices = (DeviceConfig(NIC, 3, domain=1), DeviceConfig(DISK, 1))
    domains = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 4), DomainConfig(5, 1))
    return Layout(LayoutConfig(build, cpus=3, apic_ids=(0, 2, 4), domains=domains, devices=devices, high=high))


@pytest.fixture
def layout(built):
    return built.copy()


def read_u64(layout, virtual):
    return layout.memory.u64(translate(layout.memory, layout.symbol("idle_pg_table"), virtual))


def test_the_build_id_note_is_where_the_profile_says(layout):
    note = layout.memory.read(layout.symbol("__note_gnu_build_id_start"), 36)
    assert note[16:].hex() == layout.profile.build_id
    assert layout.symbol("__note_gnu_build_id_end") - layout.symbol("__note_gnu_build_id_start") == len(note)


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_page_tables_agree_with_the_arithmetic(built, data):
    root = built.symbol("idle_pg_table")
    physical = data.draw(st.one_of([st.integers(start, start + size - 1) for start, size in built.memory.ram()]))
    assert translate(built.memory, root, DIRECT_MAP + physical) == physical
    assert translate(built.memory, root, built.virtual(physical)) == physical
    assert built.physical(built.virtual(physical)) == physical


def test_page_tables_map_themselves_the_registers_and_nothing_else(layout):
    root = layout.symbol("idle_pg_table")
    own = LINEAR_SLOT << 39 | LINEAR_SLOT << 30 | LINEAR_SLOT << 21 | LINEAR_SLOT << 12 | 0xFFFF << 48
    assert translate(layout.memory, root, own) == root
    assert translate(layout.memory, root, VMAP + 0xB8) == layout.register(0, "IRTA")
    ends = [DIRECT_MAP + start + size for start, size in layout.memory.ram()]
    for outside in (0, *ends, layout.image_start, 1 << 48):
        with pytest.raises(SimError):
            translate(layout.memory, root, outside)


def test_one_gib_pages_where_memory_is_large():
    layout = Layout(LayoutConfig(ram=(1 << 30) + (4 << 20)))
    root = layout.symbol("idle_pg_table")
    assert translate(layout.memory, root, DIRECT_MAP + (1 << 30) + 5) == (1 << 30) + 5
    table = layout.memory.u64(root + 262 * 8) & 0xF_FFFF_FFFF_F000
    assert layout.memory.u64(table) & 0x80
    assert translate(layout.memory, root, DIRECT_MAP + 0x12345) == 0x12345


def test_vcpus_lie_above_4_gib_where_there_is_memory_and_this_version_puts_them_there():
    domains = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 2))
    for options, high in (({}, 0), ({"high": 4 << 20}, 1), ({"high": 4 << 20, "low_vcpus": True}, 0)):
        layout = Layout(LayoutConfig(domains=domains, devices=(DeviceConfig(NIC, domain=1),), **options))
        vmcs = layout.get("vcpu", layout.vcpu(1, 1), "arch.hvm.vmx.vmcs_pa")
        places = [layout.vcpu(1, 0), layout.vcpu(1, 1), layout.vlapic(1, 0), vmcs]
        assert {place >> 32 for place in places} == {high}
        assert {place >> 32 for place in (layout.vcpu(0, 0), layout.domain(1), layout.idle_vcpu(0))} == {0}
        (msi,) = layout.device(NIC).msis
        layout.post_msi(msi, 1, 1, 0x61)
        entry = IRTE.parse(layout.memory.read(layout.irte(0, msi.index), 16))
        assert entry["pda"] == layout.pi_desc(1, 1)
        taken = layout.vcpu_heap.next
        layout.destroy_domain(1)
        layout.create_domain(2, 2)
        assert layout.vcpu(2, 1) >> 32 == high
        assert layout.vcpu_heap.next == taken, "what was freed is used again"


def test_domains_are_linked_in_order_and_own_their_vcpus(layout):
    pointer, found = layout.memory.u64(layout.symbol("domain_list")), []
    while pointer:
        domain = layout.physical(pointer)
        table = layout.physical(layout.get("domain", domain, "vcpu"))
        count = layout.get("domain", domain, "max_vcpus")
        vcpus = [layout.physical(layout.memory.u64(table + 8 * number)) for number in range(count)]
        number = layout.get("domain", domain, "domain_id")
        for vcpu_id, vcpu in enumerate(vcpus):
            assert vcpu % PAGE == 0
            assert layout.vcpu(number, vcpu_id) == vcpu
            assert layout.get("vcpu", vcpu, "vcpu_id") == vcpu_id
            assert layout.physical(layout.get("vcpu", vcpu, "domain")) == domain
        found.append((number, count))
        pointer = layout.get("domain", domain, "next_in_list")
    assert found == [(0, 1), (1, 4), (5, 1)]


def test_a_new_descriptor_is_64_byte_aligned_and_names_no_cpu(layout):
    address = layout.pi_desc(1, 2)
    fields = PI_DESC.parse(layout.memory.read(address, PI_DESC.size))
    assert address % 64 == 0
    assert {name: value for name, value in fields.items() if value} == {"nv": 0xF2, "ndst": 0xFFFF_FFFF}


def test_at_creation_a_descriptor_may_name_its_cpu():
    layout = Layout(LayoutConfig(apic_ids=(7, 9), ndst_at_creation=True, domains=(DomainConfig(1, 2),)))
    ndst = [PI_DESC.parse(layout.memory.read(layout.pi_desc(1, v), 64))["ndst"] for v in range(2)]
    assert ndst == [0x700, 0x900]


def test_domains_come_and_go(layout):
    before = layout.memory.copy()
    layout.create_domain(3, 2)
    assert layout.get("domain", layout.domain(1), "next_in_list") == layout.virtual(layout.domain(3))
    stale = layout.vcpu(3, 1)
    layout.destroy_domain(3)
    with pytest.raises(SimError, match="d3v1"):
        layout.vcpu(3, 1)
    assert layout.get("vcpu", stale, "vcpu_id") == 1
    place = layout.domain(1) + layout.member("domain", "next_in_list")
    assert layout.memory.u64(place) == before.u64(place)
    unused = layout.heap.next
    layout.create_domain(4, 2)
    assert layout.heap.next == unused, "freed pages are used again"


def test_cpus_have_areas_stacks_and_empty_lists(layout):
    offsets = layout.symbol("__per_cpu_offset")
    start = layout.profile.symbol("__per_cpu_start")
    for cpu, apic in enumerate((0, 2, 4)):
        assert layout.memory.u32(layout.symbol("x86_cpu_to_apicid") + 4 * cpu) == apic
        offset = layout.memory.u64(offsets + 8 * cpu)
        head = layout.profile.symbol("per_cpu__vmx_pi_blocking") + offset & (1 << 64) - 1
        assert layout.physical(head) == layout.percpu(cpu, "vmx_pi_blocking")
        assert read_u64(layout, head) == head
        info = layout.cpu_info(cpu)
        assert (info + layout.size("cpu_info")) % 0x8000 == 0
        assert layout.get("cpu_info", info, "processor_id") == cpu
        assert layout.get("cpu_info", info, "current_vcpu") == layout.virtual(layout.idle_vcpu(cpu))
        assert layout.get("cpu_info", info, "per_cpu_offset") == offset
    absent = layout.memory.u64(offsets + 8 * 3)
    assert absent + start & (1 << 64) - 1 == 1 << 63
    assert layout.memory.u64(layout.symbol("cpu_online_map")) == 0b111


def test_a_cpu_goes_and_comes_back(layout):
    area = layout.percpu(1, "curr_vcpu")
    layout.offline(1)
    layout.free_percpu(1)
    assert layout.memory.u64(layout.symbol("cpu_online_map")) == 0b101
    with pytest.raises(SimError, match="CPU 1 has no per-CPU area"):
        layout.percpu(1, "curr_vcpu")
    layout.online(1)
    assert layout.percpu(1, "curr_vcpu") == area
    assert layout.memory.u64(area) == layout.virtual(layout.idle_vcpu(1))
    with pytest.raises(SimError, match="CPU 0"):
        layout.free_percpu(0)


def test_softirqs_lie_where_xen_counts_them(layout):
    assert layout.irq_stat(2) - layout.irq_stat(0) == 2 * 128
    assert layout.irq_stat(0) == layout.symbol("irq_stat")


def test_the_table_holds_the_pins_then_the_devices(layout):
    irta = BY_NAME["IRTA"].record.parse(layout.memory.read(layout.register(0, "IRTA"), 8))
    assert irta["irta"] == layout.irte(0, 0)
    assert table_entries(irta) == 1 << 16
    entries = [IRTE.parse(layout.memory.read(layout.irte(0, number), 16)) for number in range(29)]
    assert [entry["sid"] for entry in entries] == [0xFF00] * 24 + [NIC] * 3 + [DISK, 0]
    assert [entry["p"] for entry in entries] == [1] * 28 + [0]
    assert layout.get("vtd_iommu", layout.units[0].iommu, "intremap.num") == 28


def test_a_device_sends_the_message_that_selects_its_entry(layout):
    for msi in layout.device(NIC).msis:
        assert index(msi.address, msi.data) == msi.index
        assert layout.get("msi_desc", msi.msi_desc, "remap_index") == msi.index
        assert layout.get("msi_desc", msi.msi_desc, "irq") == msi.irq
        device = layout.physical(layout.get("msi_desc", msi.msi_desc, "dev"))
        assert layout.get("pci_dev", device, "sbdf.sbdf") == NIC
        assert layout.get("pci_dev", device, "domain") == layout.virtual(layout.domain(1))


def test_devices_come_and_go(layout):
    gone = layout.device(NIC).msis[1]
    layout.remove_device(NIC)
    assert layout.memory.read(layout.irte(0, gone.index), 16) == bytes(16)
    head = layout.domain(1) + layout.member("domain", "pdev_list")
    assert layout.list_nodes(head) == []
    again = layout.add_device(0x0020, 2)
    assert [msi.index for msi in again] == [24, 25]
    layout.give_device(0x0020, 5)
    assert len(layout.list_nodes(layout.domain(5) + layout.member("domain", "pdev_list"))) == 1
    with pytest.raises(SimError, match=r"no device 00:03\.0"):
        layout.device(NIC)


def test_a_posted_entry_points_into_the_vcpu(layout):
    msi = layout.device(NIC).msis[0]
    layout.post_msi(msi, 1, 3, 0x61)
    entry = IRTE.parse(layout.memory.read(layout.irte(0, msi.index), 16))
    assert (entry["im"], entry["vector"], entry["pda"] & -PAGE) == (1, 0x61, layout.vcpu(1, 3))
    assert layout.physical(layout.get("msi_desc", msi.msi_desc, "pi_desc")) == entry["pda"]


def test_x2apic_destinations_take_all_32_bits():
    layout = Layout(LayoutConfig(cpus=1, apic_ids=(0x1234,), x2apic=True, devices=(DeviceConfig(NIC),)))
    entry = IRTE.parse(layout.memory.read(layout.irte(0, 24), 16))
    irta = BY_NAME["IRTA"].record.parse(layout.memory.read(layout.register(0, "IRTA"), 8))
    assert (entry["dst"], irta["eime"]) == (0x1234, 1)


def test_a_full_table_takes_no_more():
    layout = Layout(LayoutConfig(irqs=70000))
    layout.memory.write(layout.irte(0, 24), b"\1" * (65536 - 25) * 16)
    assert layout.add_device(NIC, 1)[0].index == 65535
    with pytest.raises(SimError, match="no 1 free"):
        layout.add_device(DISK, 1)


def test_saved_and_restored_through_json(layout):
    state = json.loads(json.dumps(layout.state()))
    again = Layout.restored(layout.profile, layout.config, state, layout.memory.copy())
    for machine in (layout, again):
        machine.create_domain(9, 3)
        machine.remove_device(NIC)
        machine.add_device(0x0100, 4)
        machine.offline(2)
        machine.free_percpu(2)
        machine.online(2)
    assert again.memory.digest() == layout.memory.digest()
    assert again.state() == layout.state()


def test_a_copy_goes_its_own_way(layout):
    digest, state = layout.memory.digest(), json.dumps(layout.state())
    other = layout.copy()
    other.destroy_domain(1)
    other.remove_device(DISK)
    other.offline(1)
    other.free_percpu(1)
    assert layout.memory.digest() == digest != other.memory.digest()
    assert json.dumps(layout.state()) == state


def test_the_same_machine_twice_is_the_same_bytes():
    assert Layout().memory.digest() == Layout().memory.digest()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"cpus": 0}, "0 CPUs"),
        ({"apic_ids": (1, 1)}, "twice"),
        ({"apic_ids": (1, 300)}, "0xff"),
        ({"devices": (DeviceConfig(NIC, 500),)}, "irqs"),
        ({"devices": (DeviceConfig(NIC, domain=77),)}, "domain"),
        ({"profile": "3.0"}, "no bundled profile"),
        ({"ram": 12345}, "multiple"),
        ({"ram": 8 << 20}, "memory"),
    ],
)
def test_what_is_no_machine_is_refused(wrong, why):
    with pytest.raises(SimError, match=why):
        Layout(LayoutConfig(**wrong))


@pytest.mark.parametrize("damage", [{}, {"heap": 3}, {"heap": {"next": 1}}, {"domains": [[1]]}])
def test_a_damaged_state_is_refused(layout, damage):
    state = layout.state() | damage if damage else {}
    with pytest.raises(SimError, match="no saved layout"):
        Layout.restored(layout.profile, layout.config, state, layout.memory)


def test_pointers_outside_are_refused(layout):
    with pytest.raises(SimError, match="neither"):
        layout.physical(0xFFFF_8000_0000_0000)
    with pytest.raises(SimError, match="does not map"):
        layout.virtual(layout.memory.size)
    with pytest.raises(SimError, match="does not map"):
        layout.virtual(GIB_4 + layout.memory.high)
    assert layout.physical(layout.virtual(PHYS_START)) == PHYS_START
    assert named("ea92b6").version.startswith("4.20.3")


def test_a_device_that_does_not_fit_changes_nothing(layout):
    digest, state = layout.memory.digest(), json.dumps(layout.state())
    for vectors in (1000, 70000):
        with pytest.raises(SimError, match="irqs"):
            layout.add_device(0x0400, vectors)
    with pytest.raises(SimError, match="already"):
        layout.add_device(NIC, 1)
    assert layout.memory.digest() == digest
    assert json.dumps(layout.state()) == state
