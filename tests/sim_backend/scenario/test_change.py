"""Named changes."""

from __future__ import annotations

from sim_backend.scenario.change import Change, by_name


def test_they_are_known_by_their_names():
    one = Change("one", "", "", {"a": True}, "idle")
    assert by_name(one) == {"one": one}
