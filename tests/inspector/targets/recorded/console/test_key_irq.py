"""The debug key `i`, in every version's form."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import key_irq
from inspector.targets.recorded.console.key_irq import KEY, GuestFacts, IrqFacts, Irqs, PinFacts

from .printing import RELEASES, Version, irq, numbered

CPUS = st.sets(st.integers(0, 15), max_size=6).map(lambda found: tuple(sorted(found)))
BIT = st.integers(0, 1)


@st.composite
def rows(draw: st.DrawFn, version: Version) -> IrqFacts:
    """An irq: a guest's, Xen's own or free, as far as the version tells of it."""
    row = IrqFacts(
        draw(st.integers(0, 9999)),
        draw(st.integers(0, 255)),
        draw(st.sampled_from(("IO-APIC-edge", "IO-APIC-level", "PCI-MSI", "PCI-MSI/-X", "DMA_MSI", "HPET_MSI"))),
        draw(st.integers(0, 0xFFF)),
        draw(CPUS),
        draw(CPUS) if version >= (4, 13) else None,
        None,
        (),
        None,
    )
    told = st.none() | st.booleans() if version >= (4, 13) else st.booleans()
    guests = st.builds(GuestFacts, st.integers(0, 32751), st.integers(-1, 9999), told, told, st.booleans())
    if draw(st.booleans()):
        return replace(row, in_flight=draw(st.integers(0, 99)), guests=tuple(draw(st.lists(guests, max_size=3))))
    if draw(st.booleans()) and version >= (4, 3):
        return replace(row, action=draw(st.sampled_from(("timer_interrupt", "ns16550_interrupt"))))
    return row


@st.composite
def answers(draw: st.DrawFn) -> tuple[Version, Irqs]:
    """A version, and what it could print."""
    version = draw(st.sampled_from(RELEASES))
    dests = st.integers(0, 255) if version < (4, 13) else st.integers(0, 0xFFFFFFFF)
    pins = st.builds(
        PinFacts,
        irq=st.integers(0, 255),
        ioapic=st.integers(0, 40),
        pin=st.integers(0, 239),
        vector=st.integers(0, 255),
        dlm=st.sampled_from((0, 1, 2, 4, 5, 7)),
        dm=BIT,
        delivs=BIT,
        pol=BIT,
        irr=BIT,
        tm=BIT,
        mask=BIT,
        dest=dests,
    )
    names = st.sampled_from(("pi_wakeup_interrupt", "pi_notification_interrupt", "error_interrupt"))
    direct = draw(st.dictionaries(st.integers(0x20, 255), names, max_size=3)) if version >= (4, 4) else None
    found = Irqs(True, draw(st.lists(rows(version), min_size=1, max_size=4)), direct, draw(st.lists(pins, max_size=3)))
    return version, found


@given(answers())
def test_what_is_printed_is_read(given_answer: tuple[Version, Irqs]) -> None:
    version, put = given_answer
    lines = numbered(irq(version, put))
    assert key_irq.read(lines) == put
    assert all(KEY.belongs.match(line.text) for line in lines)


def test_an_answer_without_its_later_parts_is_cut_if_an_earlier_one_has_them() -> None:
    row = IrqFacts(25, 0x62, "PCI-MSI", 0x30, (0,), (0,), 0, (GuestFacts(1, 87, False, False, True),), None)
    pin = PinFacts(9, 0, 9, 0x38, 1, 1, 0, 0, 1, 1, 0, 1)
    whole = key_irq.read(numbered(irq((4, 20), Irqs(True, [row], {0xF2: "x"}, [pin]))))
    assert KEY.cut(whole, whole) is None
    assert KEY.cut(replace(whole, pins=[]), whole)
    assert KEY.cut(replace(whole, direct=None), whole)
    assert KEY.cut(replace(whole, headed=False), None)


def test_a_guest_that_is_not_understood_is_told() -> None:
    line = "   IRQ:  25 vec:62 PCI-MSI         status=030 aff:{0-7}/{0} in-flight=1 d1: 87(-[ok]"
    found = key_irq.read(numbered(["IRQ information:", line]))
    assert (found.rows[0].irq, found.rows[0].guests, len(found.damaged)) == (25, (), 1)
