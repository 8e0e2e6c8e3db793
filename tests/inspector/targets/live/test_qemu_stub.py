"""What QEMU's monitor tells of the machine behind its stub, on texts that QEMU 7.2 printed."""

from __future__ import annotations

import pytest

from inspector.base.errors import NotHere, NotReadable, TargetError
from inspector.targets.live.qemu_stub import LARGEST_READ, LINE, QemuStub

MTREE = """\
FlatView #0
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-000000000009ffff (prio 0, ram): pc.ram
  00000000000c0000-000000000fffffff (prio 0, ram): pc.ram @00000000000c0000
  00000000fed90000-00000000fed90fff (prio 1, i/o): intel_iommu

"""


class Stub(QemuStub):
    """A stub whose monitor answers from a dict; each question is counted."""

    description = place = "QEMU at nowhere"

    def __init__(self, **texts):
        self.texts, self.asked = texts, []

    def monitor(self, command):
        self.asked.append(command)
        return self.texts.get(command.split()[1])

    def read(self, address, size):
        raise NotReadable(address, size, "no memory here")


def test_the_view_is_asked_once_until_it_may_have_moved():
    stub = Stub(mtree=MTREE)
    assert stub.memory()
    assert stub.lines(0x1000, 64)
    assert stub.asked == ["info mtree -f"]
    stub.forget_view()
    assert stub.memory()
    assert len(stub.asked) == 2


def test_ram_is_what_the_view_says():
    assert [(each.start, each.end) for each in Stub(mtree=MTREE).memory()] == [(0, 0xA0000), (0xC0000, 0x1000_0000)]
    assert Stub().memory() is None


@pytest.mark.parametrize(
    ("address", "size", "lines"),
    [
        (0x1000, 64, (0x1000, LINE)),
        (LINE - 4, 8, (0, 2 * LINE)),
        (0x1000, LINE, None),
        (0x9FFFC, 8, None),
        (0xFED90000, 8, None),
    ],
)
def test_small_reads_of_ram_become_whole_lines(address, size, lines):
    assert Stub(mtree=MTREE).lines(address, size) == lines
    assert Stub().lines(address, size) is None


@pytest.mark.parametrize(
    ("address", "size", "at"),
    [(0x9FFF0, 0x20, 0xA0000), (0xB0000, 4, 0xB0000), (-1, 4, -1), (0, -1, 0), ((1 << 64) - 2, 4, (1 << 64) - 2)],
)
def test_what_is_not_there_is_known_before_it_is_read(address, size, at):
    assert Stub(mtree=MTREE).unreadable(address, size).address == at


def test_what_is_there_may_be_read_but_not_too_much_at_once():
    stub = Stub(mtree=MTREE)
    assert stub.unreadable(0xC0000, 0x1000) is None
    assert stub.unreadable(0xFED90000, 0x100) is None
    # Without a view nothing is known of holes, and only the amount is refused.
    assert Stub().unreadable(0xB0000, 4) is None
    assert "at once" in Stub().unreadable(0, LARGEST_READ + 1).why


def test_gdbs_error_names_the_first_byte():
    error = Stub().refusal(0x1000, 0x100, "Cannot access memory at address 0x1080")
    assert (error.address, error.size) == (0x1080, 0x80)
    with pytest.raises(TargetError, match="QEMU at nowhere: Remote connection closed"):
        Stub().refusal(0x1000, 0x100, "Remote connection closed")


def test_a_stub_without_the_monitor_says_what_it_cannot_tell():
    with pytest.raises(NotHere, match="info pic"):
        Stub().ioapics()
    with pytest.raises(NotHere):
        Stub(pic="ioapic of another QEMU").ioapics()
    assert Stub().lapic(0) == {}
    assert Stub(lapic="nonsense").lapic(0) == {}
