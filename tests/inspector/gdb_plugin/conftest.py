"""The simulated machine that gdbs are attached to."""

from __future__ import annotations

import pytest

from sim_backend.machine.machine import Machine


@pytest.fixture
def machine(laid_out):
    """A simulated machine, laid out as Debian's Xen 4.20, that has run for a while."""
    machine = Machine(laid_out("one-device"), seed=7)
    machine.run(5000)
    return machine
