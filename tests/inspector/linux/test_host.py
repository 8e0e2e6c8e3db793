"""Linux as what owns a machine's interrupts, and what commands say of it."""

from __future__ import annotations

import json

import pytest

from inspector.audit import audit, coverage
from inspector.capture.inspection import Inspection
from inspector.commands import command
from inspector.kernels.host import Host
from inspector.linux.host import LinuxHost
from inspector.model.snapshot import dumps, loads
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_interrupts import MSIX, NIC, MadeInterrupts
from tests.inspector.linux.made_linux import RELEASE, ROOT, TEXT, TEXT_AT, MadeLinux


@pytest.fixture
def inspection(made, interrupts):
    """A machine with two irqs at work, one that nobody has, and one that is posted to a CPU's own descriptor."""
    interrupts.usual()
    own = made.at(made.percpu[1] + made.symbols["posted_msi_pi_desc"])
    interrupts.posted(41, 0x41, own, own=True)
    interrupts.tree()
    return Inspection(made.target())


def test_it_answers_all_that_a_snapshot_is_made_of(made, interrupts):
    interrupts.usual()
    interrupts.tree()
    host: Host = LinuxHost(found(made)[0])
    absent: list[object] = []
    kernel = host.kernel(absent)
    assert (kernel.release, kernel.text, kernel.phys_start, kernel.page_table) == (RELEASE, TEXT, TEXT_AT, ROOT)
    assert (kernel.version, kernel.pirqs) == ("#7 SMP made", ())
    assert host.build(absent).version is None
    assert [cpu.apic_id for cpu in host.machine(absent).cpus] == [0, 2]
    assert (host.x2apic(), host.switches(absent).x2apic, host.switches(absent).intremap) == (0, False, None)
    assert (host.acpi_roots(), host.acpi_areas(), absent) == ([], [], [])


def test_a_snapshot_is_linuxs_and_can_be_kept(inspection):
    snapshot = inspection.snapshot
    assert snapshot.is_linux
    assert (snapshot.host, snapshot.version, snapshot.kernel.release) == ("Linux", None, RELEASE)
    assert snapshot.linux_release == (6, 99)
    assert inspection.notes == []
    assert loads(dumps(snapshot)) == snapshot


def asked(inspection, line: str):
    request = command.parse(line.split())
    return request.answer(inspection)


def test_irqs_name_who_handles_them(inspection):
    rows = {row["irq"]: row for row in asked(inspection, "irqs").document["irqs"]}
    assert rows[4]["taken_by"] == "Linux: ttyS0, shared"
    assert rows[4]["actions"] == ["ttyS0", "shared"]
    assert (rows[4]["index"], rows[4]["source"]["pin"]) == (4, 4)
    assert rows[30]["type"] == f"{MSIX} 2-edge"
    assert (rows[30]["index"], rows[30]["source"]["bdf"], rows[30]["cpus"]) == (0x30, "03:03.0", [0])
    assert rows[7]["taken_by"] == "nobody"
    assert rows[41]["taken_by"] == "posted to CPU 1, Linux: vfio-msix[0]"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("route irte 0x30", "vector 0x41 (fixed) is sent to APIC 0x0, CPU 0; Linux's handler there takes it"),
        ("route irte 0x41", "vector 0x55 is posted to CPU 1's own descriptor; Linux's handler there takes it"),
        ("route irq 30", "Linux: eth0-rx-0"),
        ("ioapic", "from Linux's struct mp_chip_data and intel_ir_data"),
        ("irt", "IO-APIC 0 pin 4"),
        ("irt", "03:03.0 MSI-X irq 30"),
        ("info", f"{RELEASE}, build-id 0001"),
    ],
)
def test_commands_speak_of_linux(inspection, line, words):
    answer = asked(inspection, line)
    assert any(words in str(block) for block in map(repr, answer.blocks))
    assert "Xen" not in json.dumps(answer.document)


def test_the_audit_says_which_rules_are_about_xen(inspection):
    snapshot = inspection.snapshot
    rests_on = coverage(snapshot)
    assert {"D18", "D19", "D20"} <= {*rests_on.checked}
    assert {"D1", "D5", "D24", "D32"} <= {*rests_on.other}
    assert "are about Xen, and this machine runs Linux" in str(rests_on)
    assert [finding.rule for finding in audit(snapshot) if finding.severity == "bug"] == []


def test_an_entry_that_differs_from_linuxs_record_is_a_bug(made, interrupts):
    interrupts.usual()
    interrupts.tree()
    made.raw[0x1400000 + 16 * 0x30 + 2] = 0x99
    found_rules = {finding.rule: finding.message for finding in audit(Inspection(made.target()).snapshot)}
    assert "Linux has irq 30 as vector 0x41" in found_rules["D18"]


def test_what_cannot_be_read_of_it_is_told_and_the_rest_is_shown(made, interrupts):
    interrupts.usual()
    interrupts.tree()
    del made.symbols["__cpu_possible_mask"]
    snapshot = Inspection(made.target()).snapshot
    assert snapshot.cpus == ()
    assert any("no symbol __cpu_possible_mask" in line for line in snapshot.problems)
    assert [msi.device for msi in snapshot.msis] == [NIC]


@pytest.mark.parametrize("line", ["info", "irqs", "irt", "ioapic", "route irq 30", "route irte 0x41", "audit", "regs"])
def test_documents_are_as_their_schemas_say(run, tmp_path, line):
    made = MadeLinux(vmcoreinfo=True)
    interrupts = MadeInterrupts(made)
    interrupts.usual()
    interrupts.posted(41, 0x41, made.at(made.percpu[1] + made.symbols["posted_msi_pi_desc"]), own=True)
    interrupts.tree()
    image = tmp_path / "raw"
    image.write_bytes(made.target().raw)
    told = run("dump", image, *line.split(), "--json")
    if line == "regs":
        assert told.status == 3
        return
    assert told.status == 0, told.err
    document = told.json
    if line == "info":
        assert document["linux"]["address"] == TEXT
        assert document["linux"]["found_by"] == "the vmcoreinfo in its memory"
        assert document["xen"] is None
    if line == "irqs":
        assert [row["actions"] for row in document["irqs"] if row["irq"] == 30] == [["eth0-rx-0"]]
