"""Linuxes that tests make, in memory that tests write."""

from __future__ import annotations

import pytest

from inspector.linux.find import find
from inspector.linux.linux import Linux
from tests.inspector.linux.made_interrupts import MadeInterrupts
from tests.inspector.linux.made_linux import MadeLinux, Memory


@pytest.fixture
def made() -> MadeLinux:
    """A Linux of 6.12's form, of which nothing but CPUs is there yet."""
    return MadeLinux()


@pytest.fixture
def interrupts(made: MadeLinux) -> MadeInterrupts:
    """The same with a VT-d unit, and irqs to come."""
    return MadeInterrupts(made)


def found(made: MadeLinux) -> tuple[Linux, Memory]:
    """The Linux, as it is found in its memory, and that memory."""
    target = made.target()
    linux = find(target)
    assert linux
    return linux, target
