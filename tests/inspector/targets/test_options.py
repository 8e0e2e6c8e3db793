"""What a user says of a target."""

from __future__ import annotations

import pytest

from inspector.targets.options import SimOptions


def test_a_machine_to_look_at_is_no_more_than_that():
    assert not SimOptions("idle", seed=3, steps=5).is_more


@pytest.mark.parametrize("also", [{"serve": "127.0.0.1:0"}, {"campaign": "idle"}, {"scenarios": True}])
def test_some_options_ask_for_something_else(also):
    assert SimOptions(**also).is_more
