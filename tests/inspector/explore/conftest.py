"""Histories, made on the simulated machine, and read."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from inspector.explore.show import tell
from inspector.explore.steps import Reading, read
from sim_backend.machine.history import History

from .histories import MAKERS


@pytest.fixture(scope="session", params=MAKERS)
def history(request: pytest.FixtureRequest) -> History:
    """Each of them."""
    return MAKERS[request.param]()


@pytest.fixture(scope="session")
def reading(history: History) -> Reading:
    """It, read."""
    return read(history)


@pytest.fixture(scope="session")
def stranded() -> History:
    """A vCPU is preempted, a device posts to it, it runs again."""
    return MAKERS["stranded"]()


@pytest.fixture(scope="session")
def strandeds(stranded: History) -> Reading:
    """That, read, with each step audited."""
    return read(stranded, audit_steps=True)


@pytest.fixture(scope="session")
def told() -> Callable[..., str]:
    """Call it with a reading for what `vtdpi explore --read` prints of it."""

    def printed(reading: Reading, **options: object) -> str:
        out = io.StringIO()
        tell(reading, out, **options)  # type: ignore[arg-type]
        return out.getvalue()

    return printed
