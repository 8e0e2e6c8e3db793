"""Xen's code of each release that the lab has, on the machine whose states are tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.lab.xen import DEBIAN, Build

from .bench import Bench

STATES = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    # Known where this directory is named: pytest tests/conformance --conformance-states 10000
    help_ = f"random states for each function of Xen that is run ({STATES})"
    parser.addoption("--conformance-states", type=int, default=STATES, help=help_)
    parser.addoption("--conformance-xen", type=Path, help="the xen-syms, with DWARF, of a Xen 4.21 or later")


@pytest.fixture(scope="session", params=sorted(DEBIAN))
def bench(
    request: pytest.FixtureRequest, debian_xen: Callable[[str], Build], profile_of: Callable[[Path], str]
) -> Bench:
    """Xen's code and the model, side by side."""
    symbols = debian_xen(request.param).symbols
    assert symbols
    return Bench(symbols, profile_of(symbols))


@pytest.fixture
def states(request: pytest.FixtureRequest) -> int:
    """How many states each function is run on."""
    return int(request.config.getoption("conformance_states", STATES))
