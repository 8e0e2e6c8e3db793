"""Fault lines, in every version's form."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import faults
from inspector.targets.recorded.console.faults import FaultFacts

from .printing import RELEASES, Version, fault, numbered


@st.composite
def found(draw: st.DrawFn) -> tuple[Version, FaultFacts]:
    """A version, and a fault that it could print."""
    version = draw(st.sampled_from(RELEASES))
    unit = draw(st.integers(0, 99)) if version >= (4, 23) else None
    sbdf = draw(st.integers(0, 0xFFFFFFFF))
    if draw(st.booleans()):
        reason = draw(st.sampled_from((0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28)))
        index = None if reason == 0x25 else draw(st.integers(0, 0xFFFF))
        return version, FaultFacts(1, "", sbdf, reason, index, None, None, unit)
    reason, way = draw(st.integers(0, 0x0D)), draw(st.booleans())
    return version, FaultFacts(1, "", sbdf, reason, None, draw(st.integers(0, (1 << 52) - 1)) << 12, way, unit)


@given(found())
def test_what_is_printed_is_read(given_fault: tuple[Version, FaultFacts]) -> None:
    version, put = given_fault
    lines = numbered(fault(version, put))
    read = faults.read(lines)
    assert read.faults == [put]
    assert not read.damaged
    assert all(faults.KEY.belongs.match(line.text) for line in lines)


def test_halves_are_told() -> None:
    one = FaultFacts(1, "", 0x300, 0x22, 0x1A, None, None, None)
    first, second = fault((4, 20), one)
    read = faults.read(numbered([second, first, first, second, first]))
    assert [(found.line, found.reason) for found in read.faults] == [(2, None), (3, 0x22), (5, None)]
    assert "is not in the log" in str(read.damaged[0])


def test_two_units_faults_between_each_other_are_told_apart_by_kind() -> None:
    dma = FaultFacts(2, "", 0x10, 6, None, 0x8E480000, True, None)
    one = FaultFacts(1, "", 0x300, 0x22, 0x1A, None, None, None)
    a, b = fault((4, 20), one), fault((4, 20), dma)
    assert faults.read(numbered([a[0], b[0], a[1], b[1]])).faults == [one, dma]
    assert faults.read(numbered([a[0], a[1]])).faults == [replace(one, line=1)]
