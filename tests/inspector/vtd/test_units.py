"""Reading a unit by its registers, or by what Xen keeps."""

from __future__ import annotations

import struct

import pytest

from inspector.base.errors import NotHere, NotReadable
from inspector.capture.inspection import Inspection
from inspector.kernels.host import HostUnit
from inspector.model.absence import NOT_APPLICABLE, UNREADABLE
from inspector.targets.sim.simulation import Simulation
from inspector.targets.target import Target
from inspector.vtd.units import UnitReader
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load
from structs.registers import BY_NAME

BASE = 0xFED90000


class Registers(Target):
    """A register window, and nothing else."""

    description = "a window"

    def __init__(self, **values: int) -> None:
        window = bytearray(0x400)
        for name, value in {"VER": 0x10, **values}.items():
            register = BY_NAME[name]
            window[register.offset : register.offset + register.size] = value.to_bytes(register.size, "little")
        self.window = bytes(window)

    def read(self, address: int, size: int) -> bytes:
        if not BASE <= address <= BASE + len(self.window) - size:
            raise NotReadable(address, size, "only a window")
        return self.window[address - BASE :][:size]


class Nowhere(Registers):
    def read(self, address: int, size: int) -> bytes:
        raise NotReadable(address, size, "a dump")


def reader(target: Target, xen: HostUnit | None = None) -> UnitReader:
    return UnitReader(target, 0, BASE, 0, (), xen, 1)


XEN = HostUnit(0, BASE, 0, cap=1 << 59, ecap=0, table=0x7A80000, in_use=3, queue=0x7B00000, queue_size=4096)


def test_irta_says_where_the_table_is() -> None:
    table = reader(Registers(IRTA=0x7A8080F)).table
    assert (table.base, table.entries, table.eime, table.origin) == (0x7A80000, 1 << 16, 1, "IRTA")


def test_without_registers_xen_says_it() -> None:
    table = reader(Nowhere(), XEN).table
    assert (table.base, table.entries, table.eime) == (0x7A80000, 1 << 16, 1)
    assert "vtd_iommu" in table.origin
    assert reader(Nowhere(), XEN).capabilities["pi"] == 1


def test_without_either_it_says_what_to_do() -> None:
    with pytest.raises(NotHere, match="device memory, which a window does not hold; read them live"):
        reader(Nowhere()).table  # noqa: B018


def test_a_window_of_zeros_is_no_unit() -> None:
    with pytest.raises(NotHere, match=r"no VT-d registers at 0xfed90000 \(version register reads 0x0\)"):
        reader(Registers(VER=0)).window  # noqa: B018


def test_a_register_is_read_at_its_place() -> None:
    unit = reader(Registers(FSTS=0x2))
    assert unit.raw_register("FSTS") == 2
    assert struct.unpack_from("<I", unit.window, BY_NAME["FSTS"].offset) == (2,)


@pytest.fixture
def machine():
    return Machine(load("one-device"))


def unit(machine):
    return Inspection(Simulation(machine)).snapshot.units[-1]


def test_the_table_is_what_lies_in_memory(machine):
    found = unit(machine)
    layout = machine.layout
    for at, index in enumerate(found.indices):
        assert found.raw[at * 16 :][:16] == layout.memory.read(layout.irte(len(layout.units) - 1, index), 16)
    assert found.in_use == len(found.indices)
    assert found.absent == ()


def test_an_entry_that_was_freed_badly_is_stale(machine):
    layout = machine.layout
    place = layout.irte(len(layout.units) - 1, 0x1234)
    layout.memory.write(place, bytes(8) + b"\x18" + bytes(7))
    assert unit(machine).stale_indices == (0x1234,)


def test_registers_and_what_is_derived_of_them_agree(machine):
    found = unit(machine)
    assert found.raw_register("IRTA") == found.irta
    assert found.raw_register("FSTS") == found.fsts
    assert found.raw_register("CAP") == found.cap
    assert {absence.kind for absence in found.absent} <= {NOT_APPLICABLE, UNREADABLE}
