"""Reading a unit by its registers, or by what Xen keeps."""

from __future__ import annotations

import struct

import pytest

from inspector.base.errors import NotHere, NotReadable
from inspector.targets.target import Target
from inspector.vtd.units import UnitReader
from inspector.xen.iommu import Iommu
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


def reader(target: Target, xen: Iommu | None = None) -> UnitReader:
    return UnitReader(target, 0, BASE, 0, (), xen, 1)


XEN = Iommu(0, BASE, 0, cap=1 << 59, ecap=0, table=0x7A80000, in_use=3, queue=0x7B00000, queue_size=4096)


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
