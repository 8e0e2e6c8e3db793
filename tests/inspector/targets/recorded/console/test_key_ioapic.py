"""The debug key `z`, in every version's form."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import key_ioapic
from inspector.targets.recorded.console.key_ioapic import KEY, IoApicFacts, IoApics, PinFacts

from .printing import RELEASES, Version, ioapic, numbered

BIT = st.integers(0, 1)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Version, bool, list[IoApicFacts]]:
    """A version, whether it is in x2APIC mode, and what it could print."""
    version = draw(st.sampled_from(RELEASES))
    x2apic = draw(st.booleans()) and version >= (4, 13)
    pins = st.builds(
        PinFacts,
        pin=st.integers(0, 239),
        dest=st.integers(0, 0xFFFFFFFF if x2apic else 255),
        mask=BIT,
        tm=BIT,
        irr=BIT,
        pol=BIT,
        delivs=BIT,
        dm=BIT,
        dlm=st.integers(0, 7),
        vector=st.integers(0, 255),
    )
    one = st.builds(IoApicFacts, st.integers(0, 255), st.integers(0, 255), st.lists(pins, max_size=4))
    return version, x2apic, draw(st.lists(one, min_size=1, max_size=3))


@given(answers())
def test_what_is_printed_is_read(given_answer: tuple[Version, bool, list[IoApicFacts]]) -> None:
    version, x2apic, put = given_answer
    lines = numbered(ioapic(version, put, x2apic))
    assert key_ioapic.read(lines) == IoApics(True, True, put)
    rows = [line.text for line in lines if line.text[:1] == " "]
    assert all(KEY.belongs.match(row) for row in rows)


def test_an_answer_that_is_not_done_is_cut() -> None:
    whole = IoApics(True, True, [IoApicFacts(0)])
    assert KEY.cut(whole, None) is None
    assert KEY.cut(replace(whole, done=False), None)
    assert KEY.cut(replace(whole, headed=False), None)


def test_rows_without_their_header_are_kept() -> None:
    row = PinFacts(4, 1, 1, 0, 0, 0, 0, 0, 0, 0xF1)
    for version in ((4, 12), (4, 20)):
        lines = [
            line for line in numbered(ioapic(version, [IoApicFacts(0, 32, [row])], False)) if line.text.startswith(" 0")
        ]
        assert key_ioapic.read(lines).ioapics == [IoApicFacts(None, None, [row])]
