"""The ordinary commands on a simulated machine: what they tell is what was laid out."""

from __future__ import annotations

import io
import json

import pytest

from inspector.base.errors import NotReadable
from inspector.capture.inspection import Inspection
from inspector.commands import BUILT_IN
from inspector.commands.command import parse
from inspector.model.hex_members import numbers
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.sim.simulation import Simulation
from inspector.views import json as json_view
from inspector.views import text as text_view
from inspector.xen import interrupts
from inspector.xen.find import find
from inspector.xen.percpu import online
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.machine.machine import Machine
from sim_backend.machine.registers import Still
from sim_backend.scenario.scenario import load
from structs.invalidation import DESCRIPTOR

NIC, GRAPHICS, DISK = 0x0018, 0x0010, 0x0308


class AllInGuests(Still):
    """Every CPU runs a guest, so that no CR3 leads to Xen."""

    def where(self, cpu):
        return "guest"


@pytest.fixture(scope="module", params=["4.20", "4.17", "4.20 x2apic"])
def layout(request):
    build, _, mode = request.param.partition(" ")
    config = LayoutConfig(
        build,
        cpus=3,
        apic_ids=(0x1_0000, 0x1_0002, 0x2_0000) if mode else (0, 2, 4),
        x2apic=bool(mode),
        domains=(DomainConfig(0, 2, hvm=False), DomainConfig(1, 4), DomainConfig(7, 1)),
        devices=(DeviceConfig(NIC, 3, domain=1), DeviceConfig(GRAPHICS, 2), DeviceConfig(DISK, 1, domain=7)),
        units=2,
        ioapics=2,
    )
    layout = Layout(config)
    for vector, msi in enumerate(layout.device(NIC).msis, 0x61):
        layout.post_msi(msi, 1, vector - 0x61, vector)
    return layout


@pytest.fixture
def target(layout):
    return Simulation(Still(layout))


@pytest.fixture
def ask(target):
    """Call it with a command's words for its JSON document. It must have no problems and no notes, and show as text."""

    def answer(*words):
        inspection = Inspection(target)
        result = parse(words).answer(inspection)
        assert not [*inspection.absent, *inspection.notes, *result.problems, *result.notes]
        text_view.show(result, io.StringIO())
        shown = io.StringIO()
        json_view.show(result, shown)
        return numbers(json.loads(shown.getvalue()))

    return answer


def test_info(ask, layout):
    info = ask("info")
    xen = info["xen"]
    assert (xen["version"], xen["build_id"]) == (layout.profile.version, layout.profile.build_id)
    assert xen["cpus"] == [{"cpu": n, "apic_id": apic} for n, apic in enumerate(layout.config.apics)]
    assert xen["page_table"] == layout.symbol("idle_pg_table")
    assert (xen["posted_intr_vector"], xen["pi_wakeup_vector"]) == (0xF2, 0xF3)
    assert (xen["intremap"], xen["intpost"], xen["x2apic"]) == (True, True, layout.config.x2apic)
    assert info["memory"] == layout.memory.size
    units = [(u["unit"], u["register_base"], u["base"], u["size"], u["eime"], u["cap_pi"]) for u in info["units"]]
    assert units == [
        (n, 0xFED9_0000 + n * 0x1000, layout.irte(n, 0), 65536, layout.config.x2apic, True) for n in range(2)
    ]


def test_irt_names_every_source(ask, layout):
    first, second = ask("irt")["units"]
    graphics = layout.device(GRAPHICS).msis
    assert [entry["source"] for entry in first["entries"]] == [
        {"kind": "msi", "type": "MSI-X", "irq": msi.irq, "segment": 0, "bdf": "00:02.0"} for msi in graphics
    ]
    pins = [entry["source"] for entry in second["entries"] if entry["source"]["kind"] == "ioapic"]
    assert pins == [{"kind": "ioapic", "ioapic_id": n // 24, "ioapic": n // 24, "pin": n % 24} for n in range(48)]
    others = [entry for entry in second["entries"] if entry["source"]["kind"] == "msi"]
    assert [(e["index"], e["format"], e["source"]["bdf"]) for e in others] == [
        *((48 + n, "posted", "00:03.0") for n in range(3)),
        (51, "remapped", "03:01.0"),
    ]
    for number, entry in enumerate(others[:3]):
        assert (entry["vector"], entry["pda"]) == (0x61 + number, layout.pi_desc(1, number))
        assert entry["source"]["guest_vector"] == 0x61 + number
        assert entry["source"]["pi_desc"] == layout.pi_desc(1, number)


def test_irte_and_pi_lead_to_the_vcpu(ask, layout):
    entry = ask("irte", "48", "--unit", "1")["units"][0]["entry"]
    descriptor = ask("pi", hex(entry["pda"]))
    assert entry["pda"] == layout.pi_desc(1, 0)
    assert (descriptor["nv"], descriptor["ndst"], descriptor["pir"]) == (0xF2, 0xFFFF_FFFF, [])


def test_irt_of_one_device(ask):
    entries = [entry for unit in ask("irt", "--device", "00:03.0")["units"] for entry in unit["entries"]]
    assert [entry["format"] for entry in entries] == ["posted"] * 3


def test_ioapic_pins_select_the_entries_that_xen_remembers(ask, layout, target):
    ioapics = ask("ioapic")["ioapics"]
    chosen = {(a["ioapic"], e["pin"]): e["index"] for a in ioapics for e in a["entries"]}
    known = {(pin.ioapic, pin.pin): pin.index for pin in interrupts.ioapic_pins(find(target))}
    assert chosen == known == {(n // 24, n % 24): n for n in range(48)}
    programmed = [entry for ioapic in ioapics for entry in ioapic["entries"] if not entry["mask"]]
    assert len(programmed) == 16


def test_dmar(ask):
    table = ask("dmar")
    units = [(u["base"], u["flags"]["include_pci_all"], [s["type"] for s in u["scopes"]]) for u in table["structures"]]
    assert units == [(0xFED9_0000, 0, [1]), (0xFED9_1000, 1, [3, 3])]
    assert table["checksum_ok"]


def test_registers_queue_and_faults(ask, layout):
    for unit in ask("regs")["units"]:
        registers = unit["registers"]
        assert registers["gsts"]["ires"] == registers["gsts"]["qies"] == registers["cap"]["pi"] == 1
        assert registers["irta"]["irta"] == layout.irte(unit["unit"], 0)
    for unit in ask("queue")["units"]:
        assert (unit["base"], unit["slots"]) == (layout.units[unit["unit"]].queue, 256)
    assert [unit["unit"] for unit in ask("faults")["units"]] == [0, 1]


def test_what_is_written_is_seen(layout):
    machine = Still(layout.copy())
    memory = machine.layout.memory
    memory.write(layout.units[0].queue, DESCRIPTOR.build({"type": 4, "g": 1, "iidx": 24}))
    memory.set_u64(machine.layout.register(0, "IQT"), 1 << 4)
    inspection = Inspection(Simulation(machine))
    unit = parse(["queue"]).answer(inspection).document["units"][0]
    assert (unit["head"], unit["tail"]) == (0, 1)
    pending = [(d["state"], d["kind"], d["iidx"]) for d in unit["descriptors"]]
    assert pending == [("pending", "interrupt entry cache", 24)]


def test_xen_is_found_with_every_cpu_in_a_guest(layout):
    target = Simulation(AllInGuests(layout))
    xen = find(target)
    assert xen.profile.build_id == layout.profile.build_id
    assert online(xen) == dict(enumerate(layout.config.apics))


def test_an_offline_cpu_is_not_there(layout):
    other = layout.copy()
    other.offline(1)
    other.free_percpu(1)
    target = Simulation(Still(other))
    assert [cpu.index for cpu in target.cpus()] == [0, 2]
    assert list(online(find(target))) == [0, 2]


def test_what_is_not_there_is_not_readable(target, layout):
    end = layout.memory.size
    with pytest.raises(NotReadable) as caught:
        target.read(end - 8, 16)
    assert (caught.value.address, caught.value.size) == (end, 8)
    for hidden in (layout.lapic(0), layout.rte(0, 0), -8):
        with pytest.raises(NotReadable):
            target.read(hidden, 8)
    assert target.read_parts([(0, 4), (0xFEC0_0000, 4)]) == [bytes(4), None]


def test_every_command_is_tried_here():
    assert set(BUILT_IN) >= {"info", "irt", "irte", "dmar", "regs", "queue", "faults", "ioapic", "pi"}


@pytest.mark.thorough
@pytest.mark.parametrize("version", ["seed", "current"])
def test_a_machine_that_moves_is_read_at_every_stop(version):
    machine = Machine(load("oversubscribed"), version=version, seed=3)
    target = Simulation(machine)
    situations = set()
    for _ in range(40):
        machine.run(211)
        target.touched()
        inspection = Inspection(target)
        rows = parse(["vcpus"]).answer(inspection).document["vcpus"]
        assert not [*inspection.absent, *inspection.notes]
        layout = machine.layout
        for row in rows:
            vcpu = layout.vcpu(row["domain_id"], row["vcpu_id"])
            assert row["cpu"] == layout.get("vcpu", vcpu, "processor")
            assert row["blocked"] == bool(layout.get("vcpu", vcpu, "pause_flags") & 1)
            if row["pi"]:
                assert row["pi"]["address"] == layout.pi_desc(row["domain_id"], row["vcpu_id"])
                assert row["pi"]["nv"] == layout.memory.u8(row["pi"]["address"] + 34)
            situations.add(row["situation"])
    assert len(situations) >= 5


def test_a_core_of_a_machine_that_moved_tells_the_same(tmp_path):
    machine = Machine(load("one-device"), seed=5)
    machine.run(4321)
    here = Simulation(machine)
    with (tmp_path / "core").open("wb") as file:
        here.write_core(file)
    with ElfCore(tmp_path / "core") as dump:
        documents = [parse(["vcpus"]).answer(Inspection(target)).document for target in (here, dump)]
    for vcpu in (*documents[0]["vcpus"], *documents[1]["vcpus"]):
        # A core has no local APICs, which a finding's words tell.
        vcpu["findings"] = [(finding["rule"], finding["severity"]) for finding in vcpu["findings"]]
    assert documents[0] == documents[1]
