"""The DMAR table, registers and version from boot messages alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]

BOOT = """\
(XEN) Xen version 4.20.1 (user@host) (gcc) debug=n Mon Jan  1 00:00:00 UTC 2024
(XEN) [VT-D]Host address width 39
(XEN) [VT-D]found ACPI_DMAR_DRHD:
(XEN) [VT-D]  dmaru->address = fed90000
(XEN) [VT-D]drhd->address = fed90000 iommu->reg = ffff82c000209000
(XEN) [VT-D]cap = d2008c22260206 ecap = f00f4a
(XEN) [VT-D] endpoint: 0000:00:02.0
(XEN) [VT-D]found ACPI_DMAR_DRHD:
(XEN) [VT-D]  dmaru->address = fed91000
(XEN) [VT-D]drhd->address = fed91000 iommu->reg = ffff82c00020a000
(XEN) [VT-D]cap = 8d2008c22260206 ecap = f00f5a
(XEN) [VT-D] IOAPIC: 0000:f0:1f.0
(XEN) [VT-D] MSI HPET: 0000:00:1f.0
(XEN) [VT-D]  flags: INCLUDE_ALL
(XEN) [VT-D]found ACPI_DMAR_RMRR:
(XEN) [VT-D] endpoint: 0000:00:02.0
(XEN) [VT-D] RMRR: [8e000000,8effffff]
(XEN) IOAPIC[0]: apic_id 2, version 32, address 0xfec00000, GSI 0-119
(XEN) [VT-D]DMAR:[DMA Read] Request device [0000:00:02.0] fault addr 8e480000
(XEN) [VT-D]DMAR: reason 06 - PTE Read access is not set
(XEN) [VT-D]INTR-REMAP: Request device [0000:00:1f.0] fault index 0
(XEN) [VT-D]INTR-REMAP: reason 25 - Blocked a compatibility format interrupt request
"""


def test_info_regs_dmar_and_faults_answer(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "boot.log"
    log.write_text(BOOT)
    told = run("dump", log, "info", "--json").json
    assert [(unit["register_base"], unit["cap_pi"]) for unit in told["units"]] == [(0xFED90000, 0), (0xFED91000, 1)]
    assert told["xen"]["version"] == "4.20.1"
    registers = run("dump", log, "regs", "--json").json["units"]
    assert registers[1]["registers"]["ecap"]["eim"] == 1
    assert run("dump", log, "regs", "fsts").status == 3
    drhd, both, rmrr = run("dump", log, "dmar", "--json").json["structures"]
    assert (drhd["base"], drhd["scopes"][0]["bdf"]) == (0xFED90000, "00:02.0")
    assert (both["flags"], both["scopes"][0]["enumeration_id"]) == ({"include_pci_all": 1}, 2)
    assert (drhd["flags"], "flags" in rmrr) == ({"include_pci_all": 0}, False)
    assert (rmrr["name"], rmrr["base"], rmrr["limit"]) == ("RMRR", 0x8E000000, 0x8EFFFFFF)
    assert "INCLUDE_PCI_ALL" in run("dump", log, "dmar").out
    faults = {fault["reason"]: fault for fault in run("dump", log, "faults", "--json").json["faults"]}
    assert "lies in an RMRR" in faults[6]["advice"]
    assert faults[0x25]["source_name"] == "HPET"
    audited = {finding["rule"] for finding in run("dump", log, "audit", "--json").json["findings"]}
    assert {"D25", "D38"} <= audited
