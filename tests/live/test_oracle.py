"""What vtdpi prints, against what Xen's own debug keys print, entry by entry; and against dumps of the same machine."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.frontends.cli import main
from inspector.lab.lab import Lab
from inspector.model.hex_members import numbers
from inspector.targets.live.qmp import Qmp

pytestmark = pytest.mark.live

Ask = Callable[..., Any]

V_FIELDS = {
    "R": ("svt", "sq", "sid", "vector", "avail", "fpd", "dst", "dlm", "tm", "rh", "dm", "p"),
    "P": ("svt", "sq", "sid", "vector", "avail", "fpd", "pda", "urg", "p"),
}
V_IOAPIC = ("index", "format", "mask", "tm", "irr", "pol", "delivs", "vector")
FORMATS = {"R": "remapped", "P": "posted"}
DUMPS = {
    "elf": {"paging": False},
    "elf-paging": {"paging": True},
    "kdump-zlib": {"paging": False, "format": "kdump-zlib"},
}


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs a command line as a user does, with --json; gives what it prints of the machine."""

    def run(*words: object, status: int = 0) -> Any:
        capsys.readouterr()
        assert main([*map(str, words), "--json"]) == status, capsys.readouterr().err
        document = json.loads(capsys.readouterr().out)
        # When, of what and by which version it was said.
        del document["vtdpi"]
        return numbers(document)

    return run


def irt_rows(text: str) -> list[dict[str, Any]]:
    """The entries that the key V printed."""
    found = []
    for kind, index, rest in re.findall(r"([RP]):\s+([0-9a-f]{4}):\s+([0-9a-f ]+?)\s*$", text, re.MULTILINE):
        values = dict(zip(V_FIELDS[kind], (int(word, 16) for word in rest.split()), strict=True))
        found.append({"index": int(index, 16), "format": FORMATS[kind], **values})
    return found


def ioapic_rows(text: str) -> list[dict[str, int]]:
    """The pins that the key V printed: pin, then V_IOAPIC; its DELI column is always 0 in this format."""
    table = text.split("Redirection table of IOAPIC", 1)[1]
    rows = re.findall(r"^\(XEN\)\s+([0-9a-f]{2}):\s+([0-9a-f]{4}(?: +[0-9a-f]+){8})\s*$", table, re.MULTILINE)
    found = []
    for pin, rest in rows:
        index, form, mask, trigger, irr, polarity, status, _, vector = (int(word, 16) for word in rest.split())
        values = zip(V_IOAPIC, (index, form, mask, trigger, irr, polarity, status, vector), strict=True)
        found.append({"pin": int(pin, 16), **dict(values)})
    return found


def shown(answer: dict[str, Any], like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our entries, with the fields that the other side has."""
    return [
        {name: entry[name] for name in other} for entry, other in zip(answer["units"][0]["entries"], like, strict=True)
    ]


def test_irt_equals_key_v(lab_dom0: Lab, ask: Ask) -> None:
    expected = irt_rows(lab_dom0.keys("V"))
    answer = ask("live", lab_dom0.gdb, "irt")
    assert shown(answer, expected) == expected
    assert len(expected) > 24, "no MSI-X entries: the dom0 has set up no device"
    unit = answer["units"][0]
    assert (unit["register_base"], unit["size"]) == (0xFED90000, 65536)
    sources = [entry["source"] for entry in unit["entries"]]
    assert [source.get("pin") for source in sources[:24]] == list(range(24))
    assert {source["kind"] for source in sources[24:]} == {"msi"}
    assert {source["type"] for source in sources[24:]} == {"MSI-X"}
    # Without Xen's data a device is known by its source-id alone: both must name the same one.
    for entry in unit["entries"][24:]:
        assert entry["source"]["bdf"] == f"{entry['sid'] >> 8:02x}:{entry['sid'] >> 3 & 31:02x}.{entry['sid'] & 7}"


def test_ioapic_equals_keys_v_and_z(lab_dom0: Lab, ask: Ask) -> None:
    ours = ask("live", lab_dom0.gdb, "ioapic")["ioapics"][0]["entries"]
    assert {entry["format"] for entry in ours} == {"remappable"}
    expected = ioapic_rows(lab_dom0.keys("V"))
    assert len(expected) == len(ours) == 24
    ours = [entry | {"format": 1} for entry in ours]
    assert [{name: entry[name] for name in ("pin", *V_IOAPIC)} for entry in ours] == expected

    # z prints each pin translated back through the table: destination, mode and vector are the IRTE's.
    entries = {entry["index"]: entry for entry in ask("live", lab_dom0.gdb, "irt")["units"][0]["entries"]}
    pins = re.findall(r"^\(XEN\)  ([0-9a-f]{2})((?: +[0-9A-F]+){9})\s*$", lab_dom0.keys("z"), re.MULTILINE)
    assert len(pins) == 24
    for pin, rest in pins:
        rte = ours[int(pin, 16)]
        irte = entries[rte["index"]]
        expected_row = [
            rte["mask"],
            rte["tm"],
            rte["irr"],
            rte["pol"],
            rte["delivs"],
            irte["dm"],
            irte["dlm"],
            irte["vector"],
        ]
        destination, *printed = (int(word, 16) for word in rest.split())
        assert printed == expected_row
        assert destination == irte["dst"] >> 8


def test_dumps_hold_the_same_entries(lab_dom0: Lab, ask: Ask, tmp_path: Path) -> None:
    with Qmp(lab_dom0.qmp) as qmp:
        qmp.execute("stop")
        try:
            for name, options in DUMPS.items():
                qmp.execute("dump-guest-memory", {"protocol": f"file:{tmp_path / name}", **options}, timeout=120)
        finally:
            live = ask("live", lab_dom0.gdb, "irt")["units"][0]
            dmar = ask("live", lab_dom0.gdb, "dmar")
            pins = [
                (entry["pin"], entry["index"]) for entry in ask("live", lab_dom0.gdb, "ioapic")["ioapics"][0]["entries"]
            ]
            qmp.execute("cont")
    for name in DUMPS:
        assert ask("dump", tmp_path / name, "irt")["units"] == [live | {"origin": "Xen's struct vtd_iommu"}]
        assert ask("dump", tmp_path / name, "dmar") == dmar
        remembered = ask("dump", tmp_path / name, "ioapic")["ioapics"][0]["entries"]
        assert [(entry["pin"], entry["index"]) for entry in remembered] == pins


def test_table_of_a_halted_xen_equals_a_mask_and_shift_decoding(lab_xen: Lab, ask: Ask, tmp_path: Path) -> None:
    unit = ask("live", lab_xen.gdb, "irt")["units"][0]
    with Qmp(lab_xen.qmp) as qmp:
        qmp.execute("pmemsave", {"val": unit["base"], "size": 16 * 65536, "filename": str(tmp_path / "irt")})
    expected = []
    for index, (low, high) in enumerate(struct.iter_unpack("<QQ", (tmp_path / "irt").read_bytes())):
        if low & 1:
            assert not low >> 15 & 1
            expected.append(
                {
                    "index": index,
                    "p": low & 1,
                    "fpd": low >> 1 & 1,
                    "dm": low >> 2 & 1,
                    "rh": low >> 3 & 1,
                    "tm": low >> 4 & 1,
                    "dlm": low >> 5 & 7,
                    "avail": low >> 8 & 15,
                    "vector": low >> 16 & 0xFF,
                    "dst": low >> 32,
                    "sid": high & 0xFFFF,
                    "sq": high >> 16 & 3,
                    "svt": high >> 18 & 3,
                }
            )
    assert len(expected) == 24
    assert shown({"units": [unit]}, expected) == expected


def test_registers_equal_the_monitors_view(lab_dom0: Lab, ask: Ask) -> None:
    registers = ask("live", lab_dom0.gdb, "regs")["units"][0]["registers"]
    with Qmp(lab_dom0.qmp) as qmp:
        for name, offset, size in (("cap", 8, "g"), ("ecap", 0x10, "g"), ("gsts", 0x1C, "w"), ("irta", 0xB8, "g")):
            text = qmp.execute("human-monitor-command", {"command-line": f"xp /1{size}x {0xFED90000 + offset:#x}"})
            assert registers[name]["value"] == int(text.split(":")[1], 16)
    assert (registers["gsts"]["ires"], registers["gsts"]["qies"], registers["cap"]["pi"]) == (1, 1, 0)
    console = lab_dom0.console.read_text(errors="replace")
    assert "Interrupt Remapping enabled" in console
    faults = ask("live", lab_dom0.gdb, "faults")["units"][0]
    assert len(faults["records"]) == registers["cap"]["nfr"] + 1
    queue = ask("live", lab_dom0.gdb, "queue", "--last", "4")["units"][0]
    assert queue["head"] == queue["tail"] == registers["iqt"]["qt"] // 16
    assert {descriptor["kind"] for descriptor in queue["descriptors"]} <= {
        "wait",
        "interrupt entry cache",
        "IOTLB",
        "context cache",
    }
    assert "wait" in {descriptor["kind"] for descriptor in queue["descriptors"]}


def test_without_symbols_the_image_tells_the_same(lab_xen: Lab, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.profiles import store as profiles

    known = ask("live", lab_xen.gdb, "irt")["units"][0]["entries"]
    version = ask("live", lab_xen.gdb, "info")["xen"]["version"]
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    entries = ask("live", lab_xen.gdb, "irt")["units"][0]["entries"]
    assert len(entries) == 24
    assert entries == known
    assert ask("live", lab_xen.gdb, "queue")["units"][0]["descriptors"]
    assert ask("live", lab_xen.gdb, "dmar")["structures"]
    assert ask("live", lab_xen.gdb, "info")["xen"]["version"] == version


def test_posted_entries_that_xen_wrote_equal_key_v(lab_posted: Any, ask: Ask) -> None:
    """V shows PDA wrongly if its bit 31 is set; here RAM ends below, so that the two must agree."""
    lab = lab_posted.lab
    expected = irt_rows(lab.keys("V"))
    answer = ask("live", lab.gdb, "irt")
    assert shown(answer, expected) == expected
    posted = ask("live", lab.gdb, "irt", "--posted")["units"][0]["entries"]
    assert [(row["index"], row["vector"], row["pda"]) for row in posted] == [
        (entry["index"], entry["vector"], entry["descriptor"]) for entry in lab_posted.entries
    ]
    for row, entry in zip(posted, lab_posted.entries, strict=True):
        assert (row["source"]["guest_vector"], row["source"]["irq"]) == (entry["vector"], entry["irq"])
        descriptor = ask("live", lab.gdb, "pi", hex(row["pda"]))
        assert {name: descriptor[name] for name in ("pir", "on", "sn", "nv", "ndst")} == {
            name: entry[name] for name in ("pir", "on", "sn", "nv", "ndst")
        }


def test_a_fault_that_qemu_recorded_is_decoded(lab_faulted: Any, ask: Ask) -> None:
    unit = ask("live", lab_faulted.lab.gdb, "faults")["units"][0]
    (record,) = [record for record in unit["records"] if record["fr"]]
    assert (record["fr"], record["index"], record["sid"]) == (lab_faulted.reason, lab_faulted.index, lab_faulted.source)
    assert "reserved" in record["meaning"]


def test_32_bit_destinations(lab_qemu10: Lab, ask: Ask) -> None:
    unit = ask("live", lab_qemu10.gdb, "irt")["units"][0]
    assert unit["eime"] is True
    expected = irt_rows(lab_qemu10.keys("V"))
    assert shown({"units": [unit]}, expected) == expected
