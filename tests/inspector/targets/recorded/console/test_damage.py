"""Damaged lines: mended where the rest is found, told always."""

from __future__ import annotations

import re

from inspector.targets.recorded.console.damage import Damage, match
from inspector.targets.recorded.console.lines import Line, lines

ROW = re.compile(r"R: (\d{4}) (\d{4})")


def test_a_whole_row_is_no_damage() -> None:
    damaged: list[Damage] = []
    assert match(ROW, Line(1, "R: 0001 0002"), damaged)
    assert damaged == []


def test_a_row_cut_by_linux_is_put_together() -> None:
    damaged: list[Damage] = []
    found = match(ROW, Line(7, "R: 0001 0[   12.345678] usb 1-1: new", after="002"), damaged)
    assert found
    assert found[2] == "0002"
    assert "line 7 is damaged, and put together with the next line" in str(damaged[0])


def test_what_cannot_be_mended_is_left_out_and_told() -> None:
    damaged: list[Damage] = []
    assert match(ROW, Line(7, "R: 0001 0[   12.345678] usb", after="something else"), damaged) is None
    assert match(ROW, Line(8, "R: 0001", ended=False), damaged) is None
    assert "left out" in str(damaged[0])
    assert "cut off by the end of the file" in str(damaged[1])


def test_a_row_cut_by_another_cpu_goes_on_in_the_next_line() -> None:
    (first, second) = lines([b"(XEN) R: 0001 0(XEN) APIC error on CPU3: 00(08)\n002\n"], lambda text: True)
    damaged: list[Damage] = []
    found = match(ROW, first, damaged)
    assert found
    assert (found[2], second.text) == ("0002", "APIC error on CPU3: 00(08)")
    assert len(damaged) == 1
