"""A Xen of which nothing is known, live and from a dump, started by a BIOS and by UEFI.

Its profile is hidden, and so are layouts that only builds of its very version have. What is read is compared with what
QEMU's own monitor says; layouts with DWARF.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from inspector.base.errors import NotReadable, VtdpiError
from inspector.capture.ahead import look_ahead
from inspector.capture.inspection import Inspection
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.lab.xen import DEBIAN
from inspector.profiles import dwarf, layouts, places
from inspector.profiles import store as profiles
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.qmp import Qmp
from inspector.targets.open_file import open_file
from inspector.xen.locate import locate
from inspector.xen.selfcheck import CONSISTENT, PROVED
from structs.xen.layout import of_profile

pytestmark = pytest.mark.live

LEAST = 70
PINS = 24
FEW_TRIPS = 24


STARTS = {
    "xen.gz by SeaBIOS": (False, False),
    "xen.efi by OVMF": (True, False),
    "xen.gz by OVMF and GRUB": (True, True),
}
"""By name, whether UEFI and whether GRUB is in it. A BIOS starts no xen.efi: that is a program for UEFI."""


@pytest.fixture(params=STARTS)
def lab(request, labs, xen_version) -> Lab:
    """Xen alone, started in each way that there is."""
    uefi, grub = STARTS[request.param]
    return labs(Recipe(xen=xen_version, uefi=uefi, grub=grub))


@pytest.fixture
def told(lab, xen_version):
    """The layouts of the lab's build: from its DWARF, or of Debian's own 4.17, which is built of the same source."""
    if lab.symbols and xen_version == "4.20":
        return of_profile(profiles.of_symbols(lab.symbols))
    return of_profile(next(known for known in profiles.known() if known.version.startswith(xen_version)))


@pytest.fixture
def nothing_known(told, xen_version, monkeypatch):
    """No profile is known, and no layout that only builds of the lab's very version have."""
    hidden = {
        struct: [one for one in known if {build.version for build in one.builds} != {version_of(xen_version)}]
        for struct, known in layouts.bundled().items()
    }
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    monkeypatch.setattr(layouts, "bundled", lambda: hidden)
    monkeypatch.setattr(places, "installed", lambda build_id: None)


def version_of(number: str) -> str:
    """The version of Debian's build as it calls itself, without the package's revision."""
    return DEBIAN[number][1]


def monitor(lab: Lab, command: str) -> str:
    with Qmp(lab.control) as qmp:
        return str(qmp.execute("human-monitor-command", {"command-line": command}))


def entry_in_qemu(lab: Lab, address: int) -> bytes:
    words = re.findall(r"0x([0-9a-f]{16})", monitor(lab, f"xp /2gx {address:#x}"))
    return b"".join(int(word, 16).to_bytes(8, "little") for word in words)


def check(inspection: Inspection, lab: Lab, told) -> None:
    snapshot = inspection.snapshot
    xen = inspection.xen
    assert xen is not None
    assert xen.knowledge is not None
    score = xen.knowledge.score
    assert score[PROVED] + score[CONSISTENT] >= LEAST
    for struct, verdict in xen.knowledge.verdicts.items():
        for path, place in (verdict.layout.members if verdict.layout and struct in told else {}).items():
            assert told[struct].members.get(path, place) == place, f"{struct}.{path}"
    (unit,) = snapshot.units
    assert len(unit.indices) == PINS
    for number, index in enumerate(unit.indices):
        assert unit.raw[number * 16 :][:16] == entry_in_qemu(lab, unit.base + index * 16)
    assert sorted((pin.ioapic, pin.pin) for pin in snapshot.pins) == [(0, pin) for pin in range(PINS)]
    assert {pin.index for pin in snapshot.pins} == set(unit.indices)
    assert all(cpu.function for cpu in snapshot.online)


def test_live(lab, told, nothing_known):
    with GdbMi(lab.gdb, qmp=str(lab.qmp)) as target:
        inspection = Inspection(target)
        check(inspection, lab, told)
        # Xen's pins are those that the IO-APIC's own entries name.
        (ioapic,) = target.ioapics()
        indices = [entry >> 49 & 0x7FFF | (entry >> 11 & 1) << 15 for entry in ioapic.redirection]
        assert [pin.index for pin in sorted(inspection.snapshot.pins, key=lambda pin: pin.pin)] == indices
        assert inspection.snapshot.dmar is not None


def test_what_takes_time_is_done_before_the_machine_is_stopped(lab, nothing_known):
    """So that all that is left to do is to read at once what a look reads: a few commands, however large the image."""
    ahead = look_ahead(str(lab.qmp))
    assert ahead
    assert ahead.xen.knowledge
    with GdbMi(lab.gdb, qmp=str(lab.qmp)) as target:
        assert target.found_running
        fetched = noted(target)
        target.read_ahead(ahead.blocks)
        inspection = Inspection(target, expected=ahead.xen)
        assert inspection.xen
        assert inspection.xen.knowledge is ahead.xen.knowledge
        assert "is of no known build" in inspection.notes[0]
        assert not fetched, "all of it was read ahead"
        assert inspection.snapshot.units[0].indices
        # What registers lead to is known only now: each CPU's stack, the unit's registers and its table.
        assert len(fetched) < FEW_TRIPS


def noted(target: GdbMi) -> list[tuple[int, int]]:
    """Have a target note what it asks the machine for piece by piece."""
    fetch, asked = target._fetch, list[tuple[int, int]]()

    def read(requests: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes | NotReadable]:
        asked.extend(requests)
        return fetch(requests)

    target._fetch = read
    return asked


def test_an_efi_image_tells_its_build_by_itself(labs, xen_version):
    """A PE file, and what memory holds of it. Debian leaves the symbols in, and of 4.20's the DWARF too."""
    lab = labs(Recipe(xen=xen_version, uefi=True))
    with GdbMi(lab.gdb, qmp=str(lab.qmp)) as target:
        located = locate(target)
    assert located
    assert dwarf.build_id_of(lab.image) == located.image.build_id
    if lab.symbols:
        assert of_profile(dwarf.make(lab.image)) == of_profile(dwarf.make(lab.symbols))
    else:
        with pytest.raises(VtdpiError, match="no DWARF in it"):
            dwarf.make(lab.image)


def test_from_a_dump(lab, told, nothing_known, tmp_path):
    path = tmp_path / "xen.core"
    with Qmp(lab.control) as qmp:
        qmp.execute("dump-guest-memory", {"paging": False, "protocol": f"file:{path}"}, timeout=120)
    with open_file(path) as target:
        check(Inspection(target), lab, told)
