"""`regs`: a unit's registers, on memory written by hand."""

from __future__ import annotations

import pytest


def test_registers_and_one_of_them(image, run):
    registers = run("dump", image.path, "regs", "--json").json["units"][0]["registers"]
    assert (registers["cap"]["pi"], registers["cap"]["fro"], registers["gsts"]["ires"]) == (1, 0x22, 1)
    assert registers["irta"] == {"value": 0x40000F, "s": 15, "eime": 0, "irta": 0x400000}
    answer = run("dump", image.path, "regs", "irta")
    assert "offset 0xb8 is 0x40000f" in answer.out
    assert run("dump", image.path, "regs", "nope").status == 2


def test_a_window_without_registers_is_said(image, run):
    image.put(0xFED90000, b"\xff" * 256)
    answer = run("dump", image.path, "regs")
    assert answer.status == 3
    assert "no VT-d registers at 0xfed90000 (version register reads 0xffffffff)" in answer.err


def test_all_of_them_with_offset_and_value(image, run):
    rows = {line.split()[1]: line.split() for line in run("dump", image.path, "regs").out.splitlines() if "0x" in line}
    assert rows["IRTA"][0] == "0xb8"
    assert int(rows["IRTA"][2], 16) == 0x40000F
    assert rows["GSTS"][0] == "0x1c"


@pytest.mark.parametrize("name", ["irta", "IRTA", "Irta"])
def test_one_alone_is_what_it_is_among_all(image, run, name):
    every = run("dump", image.path, "regs", "--json").json["units"][0]["registers"]
    assert run("dump", image.path, "regs", name, "--json").json["units"][0]["registers"] == {"irta": every["irta"]}


def test_a_register_that_there_is_not(image, run):
    told = run("dump", image.path, "regs", "irtb")
    assert (told.status, told.out) == (2, "")
    assert "no register 'irtb'; there are ver cap ecap" in told.err
