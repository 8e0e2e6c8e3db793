"""The debug key `M`, in every version's form."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import key_msi
from inspector.targets.recorded.console.key_msi import KEY, MsiFacts
from inspector.targets.recorded.console.lines import Line

from .printing import RELEASES, Version, msi, numbered

ROWS = st.lists(
    st.builds(
        MsiFacts,
        irq=st.integers(0, 9999),
        kind=st.sampled_from(("MSI", "MSI-X", "HPET", "IOMMU", "???")),
        vector=st.integers(0, 255),
        lowest=st.booleans(),
        level=st.booleans(),
        logical=st.booleans(),
        dest=st.integers(0, 0xFFFFFFFF),
        maskable=st.booleans(),
        host_masked=st.booleans(),
        guest_masked=st.booleans(),
        masked=st.none() | st.booleans(),
    ),
    max_size=5,
)


def as_told(version: Version, row: MsiFacts) -> MsiFacts:
    """What a version tells of a row: 4.2 knows two kinds, and one mask stands for both before 4.6."""
    if version < (4, 3) and row.kind not in ("MSI", "MSI-X"):
        row = replace(row, kind="???")
    return replace(row, guest_masked=row.host_masked) if version < (4, 6) else row


@given(st.sampled_from(RELEASES), ROWS)
def test_what_is_printed_is_read(version: Version, rows: list[MsiFacts]) -> None:
    lines = numbered(msi(version, rows))
    found = key_msi.read(lines)
    assert found.rows == [as_told(version, row) for row in rows]
    assert found.headed
    assert not found.damaged
    assert all(KEY.belongs.match(line.text) for line in lines)


def test_an_answer_without_its_beginning_or_end_is_cut() -> None:
    row = MsiFacts(25, "MSI", 0x62, False, False, False, 0, True, False, False, False)
    head, one, two = numbered(msi((4, 20), [row, replace(row, irq=26)]))
    whole = key_msi.read([head, one, two])
    assert KEY.cut(whole, None) is None
    assert KEY.cut(key_msi.read([one, two]), None)
    assert KEY.cut(key_msi.read([head]), whole)
    half = Line(3, two.text[:30], ended=False)
    assert "end of the file" in str(KEY.cut(key_msi.read([head, one, half]), whole))
