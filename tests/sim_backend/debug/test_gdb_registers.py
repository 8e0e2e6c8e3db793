"""Registers in the form of gdb's packets."""

from __future__ import annotations

import pytest

from sim_backend.debug import gdb_registers
from sim_backend.machine.registers import registers


def test_every_register_that_a_machine_tells_is_in_the_description(resting):
    text = "".join(str(value) for value in vars(gdb_registers).values() if isinstance(value, str | tuple | dict | list))
    for name in registers(resting, 0):
        assert name in text, name


@pytest.mark.parametrize("cpu", [0, 1])
def test_a_resting_machine_is_idle_or_in_the_guest(resting, cpu):
    found = registers(resting, cpu)
    assert (found["rip"] == 0) == resting.cpus[cpu].guest
