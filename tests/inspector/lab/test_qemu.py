"""Which QEMU runs, and what is said of one that is not there."""

from __future__ import annotations

import pytest

from inspector.lab import LabError, Missing
from inspector.lab.qemu import PROGRAM, command


def no_words(line):
    pytest.fail(f"nothing is to be said: {line}")


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(place):
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return place


def test_the_systems(path):
    program(path / PROGRAM)
    assert command("system", no_words) == [str(path / PROGRAM)]


def test_without_one_the_package_is_named(path):
    with pytest.raises(Missing, match="install the package qemu-system-x86"):
        command("system", no_words)


def test_any_other_by_its_path_made_absolute(path, monkeypatch):
    program(path / "my-qemu")
    monkeypatch.chdir(path)
    assert command(str(path / "my-qemu"), no_words) == [str(path / "my-qemu")]
    assert command("./my-qemu", no_words) == [str(path / "my-qemu")]


@pytest.mark.parametrize("which", ["nope", "./nope", ""])
def test_no_such_program(path, which):
    with pytest.raises(LabError, match="no such program"):
        command(which, no_words)


def test_a_file_that_cannot_be_executed_is_none(path):
    (path / "qemu").write_text("text")
    with pytest.raises(LabError, match="no such program"):
        command(str(path / "qemu"), no_words)
