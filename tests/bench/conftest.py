"""How large a benchmark is: by default small enough for every run of CI."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full-size", action="store_true", help="benchmarks of the sizes that the aims are about")


@pytest.fixture(scope="session")
def full_size(request: pytest.FixtureRequest) -> bool:
    """Whether the user has asked for it."""
    return bool(request.config.getoption("--full-size"))
