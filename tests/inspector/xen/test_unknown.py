"""A Xen of which no profile is known."""

from __future__ import annotations

import pytest

from inspector.profiles import store as profiles
from inspector.targets.open_file import open_file
from inspector.xen.locate import locate
from inspector.xen.unknown import recognise

BUILD_4_20 = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"


@pytest.fixture
def no_profile(monkeypatch):
    """No profile is known."""
    monkeypatch.setattr(profiles, "known", lambda: iter(()))


def test_every_symbol_is_had_from_the_image_itself(golden):
    told = profiles.by_build_id(BUILD_4_20)
    with open_file(golden("lost-wakeup")) as target:
        xen = recognise(locate(target))
        assert xen.variable("posted_intr_vector", 1) == 0xF2
    assert xen.profile.build_id == BUILD_4_20
    for name in told.document["symbols"]:
        assert xen.profile.symbol(name) == told.symbol(name)


def test_variables_are_answered_with_no_profile(golden, run, no_profile):
    answer = run("dump", golden("xapic-4-cpus"), "info", "--json")
    assert answer.json["xen"]["build_id"] == BUILD_4_20
    assert answer.json["xen"]["version"].startswith("4.20.3")
    assert len(answer.json["xen"]["cpus"]) == 4
    assert answer.json["xen"]["x2apic_enabled"] == 0
