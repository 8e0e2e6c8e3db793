"""Errors tell programs what they tell people, and how the program ends."""

from __future__ import annotations

import pytest

from inspector.base import errors
from inspector.base.errors import (
    ExpectationFailed,
    NotHere,
    NotReadable,
    StaleError,
    TargetError,
    UsageError,
    VtdpiError,
)
from structs.xen.errors import ProfileError


@pytest.mark.parametrize(
    ("kind", "status"),
    [(VtdpiError, 3), (UsageError, 2), (ExpectationFailed, 1), (TargetError, 3), (NotHere, 3), (StaleError, 3)],
)
def test_each_ends_with_its_status(kind, status):
    assert kind("line").exit_status == status


def test_only_an_expectation_ends_with_1():
    """So that a script can tell a finding from a dump that cannot be read."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VtdpiError)]
    assert [kind for kind in kinds if kind.exit_status == 1] == [ExpectationFailed]


def test_the_parts_of_a_message_are_there_for_programs():
    error = TargetError("expected 1, found 2: do that", expected=1, found=2, advice="do that", address=0x1000)
    assert (error.expected, error.found, error.advice, error.address) == (1, 2, "do that", 0x1000)
    assert str(error) == "expected 1, found 2: do that"
    bare = TargetError("line")
    assert (bare.expected, bare.found, bare.advice, bare.address) == (None, None, None, None)


def test_memory_that_cannot_be_read_names_the_bytes_and_why():
    error = NotReadable(0x1FF0, 16, "a hole")
    assert str(error) == "16 bytes at physical address 0x1ff0 cannot be read: a hole"
    assert (error.address, error.size, error.why, error.exit_status) == (0x1FF0, 16, "a hole", 3)


def test_a_walker_catches_what_memory_and_profile_raise():
    for error in (NotReadable(0, 1, "x"), NotHere("x"), ProfileError("x")):
        with pytest.raises(errors.UNREADABLE):
            raise error
