"""Recipes that can be no machine are refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.lab import LabError
from inspector.lab.hvm import machine
from inspector.lab.hvm.assembly import MOVE, POST, PROFILES
from inspector.lab.hvm.machine import HvmRecipe
from inspector.lab.hvm.packages import Programs


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (HvmRecipe(guest="windows"), "no guest 'windows': there are idle, storm, ipi, migrate"),
        (HvmRecipe(cpus=0), "0 CPUs: an HVM lab has 1 to 8"),
        (HvmRecipe(vcpus=33), "33 vCPUs: an HVM lab has 1 to 32"),
    ],
)
def test_what_cannot_be_is_refused(recipe: HvmRecipe, said: str) -> None:
    with pytest.raises(LabError, match=said):
        recipe.check()


def test_every_guest_has_its_pace() -> None:
    assert set(POST) == set(PROFILES)
    assert set(MOVE) <= set(PROFILES)
    for profile in PROFILES:
        HvmRecipe(guest=profile).check()


def test_bochs_never_listens_and_has_posted_interrupts() -> None:
    text = machine.configuration(HvmRecipe(cpus=3), Programs(Path("/cache/bochs")))
    assert "count=3, quantum=1" in text
    assert "skylake_x" in text
    assert "display_library: sdl2" in text
    assert "rfb" not in text
    assert "socket" not in text


def test_a_path_that_bochs_would_cut_is_refused() -> None:
    with pytest.raises(LabError, match="no path with a comma"):
        machine.console_option(Path("/a,b/console.log"))
