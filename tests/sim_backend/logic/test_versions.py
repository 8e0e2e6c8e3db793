"""The versions of the logic."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from sim_backend.logic.versions import CURRENT, SEED, V4_21, VERSIONS, Version
from sim_backend.memory.errors import SimError
from sim_backend.scenario.bugs import CHANGES, version

DIFFERENCES = [field.name for field in fields(Version) if field.name != "name"]


def test_each_difference_is_a_change_or_between_the_two():
    """What no version and no change ever does would be dead code."""
    changed = {name for change in CHANGES.values() for name in change.apply}
    releases = (SEED, V4_21)
    between = {name for name in DIFFERENCES if any(getattr(v, name) != getattr(CURRENT, name) for v in releases)}
    assert set(DIFFERENCES) == changed | between


def test_by_name():
    assert {name: version(name) for name in VERSIONS} == VERSIONS
    assert version("current with zoo-03") == replace(CURRENT, name="current with ZOO-03", always_notifies=False)


@pytest.mark.parametrize("name", ["", "4.20", "current with", "current with nothing", "seed with ZOO-03"])
def test_what_is_none(name):
    if name == "current with":
        assert version(f"{name} ZOO-03").name == "current with ZOO-03"
    else:
        with pytest.raises(SimError):
            version(name)
