"""What the core logic calls outside of itself: both who does it and who only notes it have all of that."""

from __future__ import annotations

from inspect import signature

import pytest

from sim_backend.logic.calls import Calls
from sim_backend.logic.pi.run_procedure import Noted
from sim_backend.logic.services import Services

NAMES = [name for name in vars(Calls) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [Services, Noted])
@pytest.mark.parametrize("name", NAMES)
def test_all_take_the_same(kind, name):
    wanted = list(signature(getattr(Calls, name)).parameters)
    assert list(signature(getattr(kind, name)).parameters) == wanted


def test_there_are_some():
    assert {"send_ipi", "vcpu_wake", "flush_iec"} <= set(NAMES)
