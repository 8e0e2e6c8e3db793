"""A CPU's registers, as far as its place in Xen tells them."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.machine.registers import Still, address_of, registers


@pytest.fixture(scope="module")
def layout():
    return Layout(LayoutConfig(cpus=2))


class At(Still):
    def __init__(self, layout, place):
        super().__init__(layout)
        self.place = place

    def where(self, cpu):
        return self.place


def test_in_the_guest_nothing_of_xen_is_told(layout):
    found = registers(At(layout, "guest"), 1)
    assert (found["rip"], found["rsp"], found["cr3"]) == (0, 0, 0)


def test_in_xen_the_stack_is_the_cpus_own(layout):
    one, other = (registers(Still(layout), cpu) for cpu in (0, 1))
    assert one["rip"] == other["rip"]
    assert one["rsp"] != other["rsp"]
    for cpu, found in enumerate((one, other)):
        assert 0 < layout.virtual(layout.cpu_info(cpu)) - found["rsp"] < 0x1000


def test_the_place_is_the_functions_address_and_the_steps_that_were_done(layout):
    begin = layout.profile.symbol("vmx_vcpu_block")
    assert address_of(layout, "vmx_vcpu_block") == begin
    assert registers(At(layout, "vmx_vcpu_block+3"), 0)["rip"] == begin + 3


def test_a_function_without_an_address_is_where_the_compiler_put_it(layout):
    for name in ("vmx_pi_switch_from", "vmx_pi_do_resume", "iret"):
        assert layout.profile.symbol("_stext") <= address_of(layout, name)
