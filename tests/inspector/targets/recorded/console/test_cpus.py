"""Sets of CPUs, both ways."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console.cpus import cpus

from .printing import cpus as printed


@given(st.sets(st.integers(0, 4095), max_size=20))
def test_both_forms_are_read(numbers: set[int]) -> None:
    expected = tuple(sorted(numbers))
    mask = f"{sum(1 << number for number in numbers):0{8 * 128}x}"
    words = ",".join(mask[at : at + 8] for at in range(0, len(mask), 8))
    assert cpus(printed(expected)) == cpus(words) == expected


def test_what_is_none_is_refused() -> None:
    assert cpus("{3-1}") is cpus("{0-99999999}") is cpus("{a}") is cpus("xyz") is None
