"""VT-d units: registers, tables, queues."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import Layout, LayoutConfig
from structs.registers import CAP, ECAP, GSTS, IRTA


@pytest.mark.parametrize(("x2apic", "intpost"), [(False, True), (True, True), (False, False)])
def test_registers_say_what_the_machine_is(x2apic, intpost):
    layout = Layout(LayoutConfig(units=2, x2apic=x2apic, intpost=intpost))
    for unit in range(2):
        read = {
            name: kind.parse(layout.memory.read(layout.register(unit, name), kind.size))
            for name, kind in (("CAP", CAP), ("ECAP", ECAP), ("GSTS", GSTS), ("IRTA", IRTA))
        }
        assert read["CAP"]["pi"] == intpost
        assert (read["ECAP"]["ir"], read["GSTS"]["ires"]) == (1, 1)
        assert read["IRTA"]["eime"] == x2apic


def test_each_unit_has_a_table_and_a_queue_of_its_own():
    layout = Layout(LayoutConfig(units=3))
    tables = {layout.irte(unit, 0) for unit in range(3)}
    queues = {unit.queue for unit in layout.units}
    assert len(tables) == len(queues) == 3
    assert not tables & queues
    assert layout.irte(1, 5) - layout.irte(1, 4) == 16
