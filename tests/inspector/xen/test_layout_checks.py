"""What speaks for a member, and what against it."""

from __future__ import annotations

import pytest

from inspector.xen.layout_checks import _flags

MADE_FOR_A_NEW_VCPU, SAVED_BY_A_CPU = 0x200, 0x246


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None, 0], []),
        ([SAVED_BY_A_CPU, 0], [("x", True)]),
        ([SAVED_BY_A_CPU, 1 << 40], [("x", False)]),
        ([MADE_FOR_A_NEW_VCPU, SAVED_BY_A_CPU, None], []),
    ],
)
def test_saved_flags(values, said):
    assert list(_flags("x", values)) == said
