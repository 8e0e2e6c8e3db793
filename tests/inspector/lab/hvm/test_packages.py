"""Which of Bochs' packages are taken. That they suffice is shown by tests/live."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.lab import LabError
from inspector.lab.hvm import packages
from inspector.lab.packages import CHECKSUMS


@pytest.mark.parametrize("name", ["bochs", "bochs-sdl", "vgabios", "libc6", "libgtk-3-0t64", "zlib1g", "libsdl3-0"])
def test_what_bochs_loads_is_taken(name: str) -> None:
    assert packages._is_library(name)


@pytest.mark.parametrize("name", ["libllvm22", "mesa-libgallium", "libgl1-mesa-dri", "systemd", "adwaita-icon-theme"])
def test_what_only_a_display_needs_is_left_out(name: str) -> None:
    assert not packages._is_library(name)


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert packages.Programs(tmp_path).version == ""
    (tmp_path / CHECKSUMS).write_text(f"{'0' * 64}  bochs-sdl_9_amd64.deb\n{'0' * 64}  bochs_3.1+dfsg-1_amd64.deb\n")
    assert packages.Programs(tmp_path).version == "3.1+dfsg-1"


def test_a_tree_without_its_loader_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises((LabError, OSError)):
        packages._complete(tmp_path)


def test_bochs_is_told_to_use_no_display_sound_or_network() -> None:
    environment = packages.Programs(Path("/x")).environment
    assert environment["SDL_VIDEODRIVER"] == environment["SDL_AUDIODRIVER"] == "dummy"
