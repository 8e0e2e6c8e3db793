"""Real descriptors, of a real Xen with HVM vCPUs, read through a real QEMU and a real gdb: a capture as the RAM."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.frontends.cli import main
from inspector.lab import LabError
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.model.hex_members import numbers
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.qmp import Qmp
from inspector.xen.find import find
from structs.acpi import EMPTY_HEADER, RSDT, with_checksum
from structs.dmar import DMAR
from structs.irte import POSTED
from structs.pi_desc import PI_DESC, vectors

pytestmark = pytest.mark.live


@pytest.fixture(params=["lost-wakeup", "xapic-4-cpus", "linux-guest-hung"])
def staged(
    request: pytest.FixtureRequest, labs: object, golden: Callable[[str], Path], data: Path
) -> Iterator[tuple[Lab, dict]]:
    expected = json.loads((data / "golden" / f"xen-4.20.3-{request.param}.expected.json").read_text())
    with Lab.up(Recipe(capture=golden(request.param), name=request.param)) as lab:
        yield lab, expected


@pytest.mark.parametrize("with_qmp", [False, True])
def test_xen_and_its_descriptors_through_gdb(staged: tuple[Lab, dict], with_qmp: bool) -> None:
    lab, expected = staged
    with GdbMi(lab.gdb, qmp=str(lab.qmp) if with_qmp else None) as target:
        assert target.found_running is False
        xen = find(target)
        assert xen.variable("posted_intr_vector", 1) == expected["posted_intr_vector"]
        for vcpu in expected["vcpus"]:
            fields = PI_DESC.parse(target.read(vcpu["pi"]["address"], PI_DESC.size))
            assert {**{name: fields[name] for name in ("on", "sn", "nv", "ndst")}, "pir": vectors(fields["pir"])} == {
                name: value for name, value in vcpu["pi"].items() if name != "address"
            }
    with Qmp(lab.control) as qmp:
        assert not qmp.execute("query-status")["running"]


def test_what_is_no_capture_is_refused(labs: object, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no memory at all\n")
    with pytest.raises(LabError, match="text file"):
        Lab.up(Recipe(capture=tmp_path / "notes.txt", name="none"))
    assert "none" not in [lab.name for lab in Lab.all()]


TABLE, ACPI, EBDA = 0x20000, 0x22000, 0x9F000
ENTRIES = 256


def write(lab: Lab, address: int, content: bytes, directory: Path) -> None:
    """Put bytes at a physical address of the stage, with a gdb of the test's own."""
    path = directory / f"{address:x}"
    path.write_bytes(content)
    words = [
        *("gdb", "-nx", "-batch", "-ex", "set architecture i386:x86-64", "-ex", f"target remote {lab.gdb}"),
        *("-ex", "maintenance packet Qqemu.PhyMemMode:1", "-ex", f"restore {path} binary {address:#x}"),
        *("-ex", "maintenance packet Qqemu.PhyMemMode:0", "-ex", "disconnect"),
    ]
    subprocess.run(words, check=True, capture_output=True, timeout=30)


def test_route_from_a_posted_entry_to_the_vcpu_and_back(
    labs: object,
    golden: Callable[[str], Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The capture has no VT-d unit: QEMU lends its own, and the test a table and the ACPI tables that lead there."""
    expected = json.loads((data / "golden" / "xen-4.20.3-lost-wakeup.expected.json").read_text())
    posted = [
        POSTED.build({"p": 1, "im": 1, "vector": 0x40 + n, "pda": vcpu["pi"]["address"], "sid": 0x18, "svt": 1})
        for n, vcpu in enumerate(expected["vcpus"])
    ]
    unit = {"type": 0, "body": {"flags": {"include_pci_all": 1}, "base": 0xFED90000}}
    dmar = DMAR.build({"signature": b"DMAR", "body": {**EMPTY_HEADER, "haw": 38, "structures": [unit]}})
    rsdt = RSDT.build({"signature": b"RSDT", "body": {**EMPTY_HEADER, "entries": [ACPI + 0x100]}})
    pointer = bytearray(b"RSD PTR \0VTDPI \0" + ACPI.to_bytes(4, "little"))
    pointer[8] = -sum(pointer) & 0xFF
    with Lab.up(Recipe(capture=golden("lost-wakeup"), name="route")) as lab:
        write(lab, TABLE, b"".join(posted), tmp_path)
        write(lab, ACPI, with_checksum(rsdt).ljust(0x100, b"\0") + with_checksum(dmar), tmp_path)
        write(lab, EBDA, bytes(pointer), tmp_path)
        write(lab, 0x40E, (EBDA >> 4).to_bytes(2, "little"), tmp_path)
        write(lab, 0xFED900B8, (TABLE | 1 << 11 | ENTRIES.bit_length() - 2).to_bytes(8, "little"), tmp_path)

        def ask(*words: str) -> dict:
            capsys.readouterr()
            status = main(["live", lab.gdb, *words, "--json"])
            printed = capsys.readouterr()
            assert status == 0, printed.err
            return numbers(json.loads(printed.out))

        for index, vcpu in enumerate(expected["vcpus"]):
            name = f"d{vcpu['domain']}v{vcpu['vcpu']}"
            (forth,) = ask("route", "irte", str(index))["routes"]
            assert (forth["entry"]["vector"], forth["entry"]["pda"]) == (0x40 + index, vcpu["pi"]["address"])
            assert (forth["vcpu"]["domain_id"], forth["vcpu"]["vcpu_id"]) == (vcpu["domain"], vcpu["vcpu"])
            assert forth["fires"]
            assert forth["vcpu"]["blocking_list"] == vcpu["blocking_list"]
            back = ask("route", name)
            assert [route["entry"]["index"] for route in back["routes"]] == [index]
        assert len(ask("route", "00:03.0")["routes"]) == len(expected["vcpus"])
        listed = {vcpu["pi"]["address"]: vcpu for vcpu in ask("vcpus")["vcpus"] if vcpu["pi"]}
        for vcpu in expected["vcpus"]:
            ours = listed[vcpu["pi"]["address"]]
            same = ("runstate", "blocked", "blocking_list")
            names = ("domain_id", "vcpu_id", "cpu", *same)
            expected_names = ("domain", "vcpu", "processor", *same)
            assert [ours[name] for name in names] == [vcpu[name] for name in expected_names]
