"""What QEMU's monitor printed for a real Xen (7.2.22 and 10.0.13), and texts it never prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.live import qemu_text
from inspector.targets.live.qemu_text import FlatView
from inspector.targets.ranges import Range

PIC_7_2 = """\
ioapic0: ver=0x20 id=0x00 sel=0x2e (redir[15])
  pin 0  0x0001000000010000 dest=0 vec=0   active-hi edge  masked fixed  physical
  pin 1  0x0003000000000038 dest=0 vec=56  active-hi edge         fixed  physical
  pin 2  0x00050000000000f0 dest=0 vec=240 active-hi edge         fixed  physical
  IRR      (none)
  Remote IRR (none)
pic1: irr=00 imr=ff isr=00 hprio=0 irq_base=28 rr_sel=0 elcr=0c fnm=0
pic0: irr=11 imr=ff isr=00 hprio=0 irq_base=20 rr_sel=0 elcr=00 fnm=0
"""
# QEMU 10 prints the 8259s first.
PIC_10_0 = "".join(PIC_7_2.splitlines(keepends=True)[-2:] + PIC_7_2.splitlines(keepends=True)[:-2])

MTREE = """\
FlatView #0
 AS "ich9-ahci", root: bus master container
 Root memory region: (none)
  No rendered FlatView

FlatView #1
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-00000000000c2fff (prio 0, ram): pc.ram
  00000000000c3000-00000000000e7fff (prio 0, rom): pc.ram @00000000000c3000
  00000000000e8000-00000000000effff (prio 0, ram): pc.ram @00000000000e8000
  00000000000f0000-00000000000fffff (prio 0, rom): pc.ram @00000000000f0000
  0000000000100000-0000000003ffffff (prio 0, ram): pc.ram @0000000000100000
  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio
  00000000fed90000-00000000fed9022f (prio 0, i/o): intel_iommu
  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi
  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios

FlatView #2
 AS "I/O", root: io
 Root memory region: io
  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan
"""


@pytest.mark.parametrize("text", [PIC_7_2, PIC_10_0, PIC_7_2.replace("\n", "\r\n")])
def test_redirection_entries_are_raw(text: str) -> None:
    (ioapic,) = qemu_text.ioapics(text) or []
    assert (ioapic.id, ioapic.version) == (0, 0x20)
    assert ioapic.redirection == (0x0001000000010000, 0x0003000000000038, 0x00050000000000F0)


def test_several_ioapics() -> None:
    second = PIC_7_2.replace("ioapic0", "ioapic1").replace("id=0x00", "id=0x01")
    assert [ioapic.id for ioapic in qemu_text.ioapics(PIC_7_2 + second) or []] == [0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        ("  pin 1 ", "  pin 2 "),
        ("0x0003000000000038", "0x3000000000038"),
        ("0x0003000000000038", "0x000300000000003g"),
        ("ioapic0: ver=0x20 id=0x00", "ioapic0: ver=0x20"),
        ("ioapic0: ver=0x20 id=0x00 sel=0x2e (redir[15])\n", ""),
        ("  pin 0 ", "  pin \N{ARABIC-INDIC DIGIT ZERO} "),
    ],
)
def test_a_damaged_ioapic_is_none_rather_than_wrong(damage: tuple[str, str]) -> None:
    assert damage[0] in PIC_7_2
    assert qemu_text.ioapics(PIC_7_2.replace(*damage)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VM status: running\r\n", "running"),
        ("VM status: paused\r\n", "paused"),
        ("VM status: paused (prelaunch)\r\n", "prelaunch"),
        ("VM status: paused (guest-panicked)\n", "guest-panicked"),
        ("VM status: running (single step mode)\n", "running"),
        ("unknown command: 'info status'\r\n", None),
        ("", None),
    ],
)
def test_status(text: str, expected: str | None) -> None:
    assert qemu_text.status(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3\r\n", (7, 2, 22)),
        ("10.0.13Debian 1:10.0.13+ds-0+deb13u1\r\n", (10, 0, 13)),
        ("9.2.90 (v10.0.0-rc0)\r\n", (9, 2, 90)),
        ("seven", None),
    ],
)
def test_version(text: str, expected: tuple[int, int, int] | None) -> None:
    assert qemu_text.version(text) == expected


@pytest.mark.parametrize("text", [MTREE, MTREE.replace("\n", "\r\n")])
def test_flat_view_of_system_memory(text: str) -> None:
    view = qemu_text.flat_view(text)
    assert view
    assert len(view.ranges) == 9
    assert view.ram() == [Range(0, 0xC3000), Range(0xE8000, 0xF0000), Range(0x100000, 0x4000000)]
    assert view.first_hole(0, 0x4000000) is None
    assert view.first_hole(0x3FFFFF0, 0x20) == 0x4000000
    assert view.first_hole(0x4000000, 1) == 0x4000000
    # The rest of the page that the VT-d unit's registers are in is there, as reserved registers are.
    assert view.first_hole(0xFED90000, 0x1000) is None
    assert view.first_hole(0xFED90000, 0x1001) == 0xFED91000
    assert view.first_hole(1 << 60, 0) is None
    assert view.in_ram(0xC3000, 0x1000)
    assert not view.in_ram(0xFED90000, 8)
    assert not view.in_ram(0x3FFFFFF, 2)
    # RAM and ROM side by side are read as one; a range of devices in between is not.
    assert view.in_ram(0xC3000, 0x4000000 - 0xC3000)
    assert not view.in_ram(0xC3000, 0x4000001 - 0xC3000)
    assert not view.in_ram(0x3FFFFFF, 0xFED90000)


@pytest.mark.parametrize(
    "damage",
    [
        (' AS "memory"', ' AS "memories"'),
        ("-00000000000e7fff", "-00000000000c0000"),
        ("00000000000e8000-00000000000effff", "00000000000e0000-00000000000effff"),
        ("00000000000e8000-00000000000effff", "e8000-effff"),
        ("(prio 0, rom): pc.bios", ""),
    ],
)
def test_a_damaged_flat_view_is_none(damage: tuple[str, str]) -> None:
    assert damage[0] in MTREE
    assert qemu_text.flat_view(MTREE.replace(*damage)) is None


@given(st.text() | st.lists(st.sampled_from((MTREE + PIC_7_2).splitlines())).map("\n".join))
def test_no_text_is_too_strange(text: str) -> None:
    qemu_text.status(text)
    qemu_text.version(text)
    qemu_text.flat_view(text)
    qemu_text.ioapics(text)


@given(
    st.lists(st.integers(0, 200), unique=True, max_size=8).map(sorted),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_a_hole_is_the_first_page_without_a_range(bounds: list[int], address: int, size: int) -> None:
    quarter = qemu_text.PAGE // 4
    ranges = [Range(a * quarter, b * quarter) for a, b in zip(bounds[::2], bounds[1::2], strict=False)]
    view = FlatView(tuple(ranges), ("ram",) * len(ranges))
    pages = {a // 4 for r in ranges for a in range(r.start // quarter, r.end // quarter)}
    expected = next((a for a in range(address, address + size) if a // 4 not in pages), None)
    assert view.first_hole(address * quarter, size * quarter) == (None if expected is None else expected * quarter)


LAPIC = (
    "dumping local APIC state for CPU 1 \r\n\r\nLVT0\t 0x00010700 active-hi edge  masked  ExtINT (vec 0)\r\n"
    "ISR\t (none)\r\nIRR\t 48 240(level) \r\n\r\nAPR 0x00 TPR 0x10 DFR 0x0f LDR 0x01 PPR 0x10\r\n"
)


def test_the_local_apic() -> None:
    assert qemu_text.lapic(LAPIC) == qemu_text.Lapic(1, 1 << 48 | 1 << 240, 0)
    for text in (
        "",
        "No CPU available\r\n",
        LAPIC.replace("48", "481"),
        LAPIC.replace("ISR", "XSR"),
        LAPIC.replace("48", "ab"),
    ):
        assert qemu_text.lapic(text) is None


REGISTERS = """
CPU#0
RAX=ffff82d0405a5088 RBX=ffff82d0403ace88 RCX=0000000000000001 RDX=ffff82d040427fff
RSI=0000000000000001 RDI=ffff82d0405b4d38 RBP=ffff82d040427dc0 RSP=ffff82d040427d58
RIP=ffff82d04032e5f9 RFL=00000086 [--S--P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
CS =e008 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]
CR0=80050033 CR2=0000000000000000 CR3=0000000003c9a000 CR4=000006e0

CPU#1
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000f6b
EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1
CS =f000 ffff0000 0000ffff 00009b00
CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000

CPU#2
CR0=80050033 CR2=0000000000000000 CR3=0000000003c9b000 CR4=000006e0
"""


@pytest.mark.parametrize("text", [REGISTERS, REGISTERS.replace("\n", "\r\n")])
def test_cpus_in_64_bit_mode(text: str) -> None:
    told = {"cs": 0xE008, "rip": 0xFFFF82D04032E5F9, "rsp": 0xFFFF82D040427D58}
    assert qemu_text.cpus(text) == [{"cr3": 0x3C9A000, **told}, {"cr3": 0x3C9B000}]
    assert qemu_text.cpus("") == []
