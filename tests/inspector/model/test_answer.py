"""What an answer's exit status says."""

from __future__ import annotations

import pytest

from inspector.model.absence import NOT_APPLICABLE, Absence, unreadable
from inspector.model.answer import Answer


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({}, 0),
        ({"notes": ["by the way"]}, 0),
        ({"absent": [Absence(NOT_APPLICABLE, "unit 0", "a dump has no registers")]}, 0),
        ({"absent": [unreadable("unit 0", "a hole")]}, 3),
        ({"problems": ["a hole"]}, 3),
        ({"problems": ["a hole"], "bug": True}, 1),
    ],
)
def test_the_status(parts, status):
    assert Answer({}, [], **parts).exit_status == status
