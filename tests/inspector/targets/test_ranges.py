from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.ranges import Range, Ranges

CUTS = st.sets(st.integers(0, 500), max_size=20).map(sorted)


@given(CUTS, st.integers(1, 70))
def test_they_agree_with_a_list(cuts: list[int], step: int) -> None:
    listed = [Range(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False)]
    ranges = Ranges.of(listed)
    assert ranges == listed
    assert list(ranges[1:]) == listed[1:]
    assert ranges.size == sum(known.size for known in listed)
    wanted = {at // step * step for known in listed for at in range(known.start, known.end)}
    assert ranges.multiples(step) == sorted(wanted)
    if listed:
        assert ranges[-1] == listed[-1]
