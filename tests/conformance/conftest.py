"""Xen's code of each release that the lab has, on the machine whose states are tried."""

from __future__ import annotations

import os
import sys

import pytest

from inspector.lab import LabError
from inspector.lab.xen import DEBIAN, debian

from .bench import Bench

STATES = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    # Known where this directory is named: pytest tests/conformance --conformance-states 10000
    help_ = f"random states for each function of Xen that is run ({STATES})"
    parser.addoption("--conformance-states", type=int, default=STATES, help=help_)


@pytest.fixture(scope="session", params=sorted(DEBIAN))
def bench(request: pytest.FixtureRequest) -> Bench:
    """Xen's code and the model, side by side."""
    try:
        build = debian(request.param, lambda line: print(line, file=sys.stderr))
    except LabError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    assert build.symbols
    return Bench(build.symbols)


@pytest.fixture
def states(request: pytest.FixtureRequest) -> int:
    """How many states each function is run on."""
    return int(request.config.getoption("conformance_states", STATES))
