"""The debug key `V`, in every version's form: what is put in is read out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import key_vtd
from inspector.targets.recorded.console.key_vtd import KEY, PinFacts, Tables, UnitFacts
from inspector.targets.recorded.console.lines import Line
from structs.irte import IRTE, POSTED, REMAPPED

from .printing import RELEASES, Version, numbered, vtd

BIT, NIBBLE = st.integers(0, 1), st.integers(0, 15)


@st.composite
def entries(draw: st.DrawFn, version: Version) -> bytes:
    """A present entry without reserved bits, of a format that the version prints."""
    record = draw(st.sampled_from([REMAPPED, POSTED] if version >= (4, 7) else [REMAPPED]))
    values = {
        f.name: draw(st.integers(0, (1 << f.width) - 1))
        for f in record.fields
        if not f.reserved and f.name not in ("p", "im", "pda")
    }
    values |= {"p": 1, "im": int(record is POSTED)}
    if record is POSTED:
        values["pda"] = draw(st.integers(0, (1 << 46) - 1)) << 6
    return bytes(IRTE.build(values))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Version, Tables]:
    """A version, and what it could print."""
    version = draw(st.sampled_from(RELEASES))
    found = Tables(ioapics=draw(st.sets(st.integers(0, 40), max_size=3)))
    for index in draw(st.lists(st.integers(0, 300), unique=True, min_size=1, max_size=3)):
        unit = UnitFacts(index, remapping=draw(st.booleans()), queue=draw(st.booleans()))
        unit.posting = draw(st.booleans()) if version >= (4, 7) else None
        if unit.remapping:
            unit.size = draw(st.sampled_from((256, 65536)))
            indices = st.integers(0, unit.size - 1)
            unit.entries = draw(st.dictionaries(indices, entries(version), max_size=5))
            unit.in_use = draw(st.none() | st.integers(0, 65536))
        found.units.append(unit)
    for ioapic in sorted(found.ioapics):
        for pin in sorted(draw(st.sets(st.integers(0, 239), max_size=4))):
            fields = [draw(BIT) for _ in range(5)]
            vector = draw(st.integers(0, 255))
            found.pins.append(
                PinFacts(ioapic, pin, draw(st.integers(0, 0xFFFF)), *fields, draw(st.integers(0, 7)), vector)
            )
    return version, found


@given(tables())
def test_what_is_printed_is_read(given_tables: tuple[Version, Tables]) -> None:
    version, put = given_tables
    assert key_vtd.read(numbered(vtd(version, put))) == put


@given(tables())
def test_every_line_is_known_as_the_keys(given_tables: tuple[Version, Tables]) -> None:
    version, put = given_tables
    for line in numbered(vtd(version, put)):
        assert not line.text or KEY.belongs.match(line.text) or line.text.startswith(("R", "P", "       SVT"))


def test_a_header_that_is_not_understood_ends_the_unit_before() -> None:
    lines = vtd((4, 20), Tables([UnitFacts(1, 256, False, True, True, entries={1: ENTRY})]))
    lines += [line.replace("iommu 1", "iommu zz") for line in lines]
    found = key_vtd.read(numbered(lines))
    assert [(unit.index, list(unit.entries)) for unit in found.units] == [(1, [1]), (None, [1])]
    assert "iommu zz" in str(found.damaged[0])


def test_rows_beyond_the_table_and_fields_that_do_not_fit_are_damage() -> None:
    lines = vtd((4, 20), Tables([UnitFacts(0, 256, False, True, True, entries={0x100: ENTRY, 1: ENTRY})]))
    found = key_vtd.read(numbered([*lines, lines[-2].replace("  1  ", "  7  ", 1)]))
    assert list(found.units[0].entries) == [1]
    assert len(found.damaged) == 2


def test_an_answer_without_a_unit_that_an_earlier_one_has_is_cut() -> None:
    one, two = Tables([UnitFacts(0)], ioapics={0}), Tables([UnitFacts(0), UnitFacts(1)], ioapics={0})
    assert KEY.cut(one, two) == "unit 0x1 is not in it"
    assert KEY.cut(Tables(two.units), two) == "IO-APIC 0 is not in it"
    assert KEY.cut(two, one) is KEY.cut(one, None) is None


ENTRY = bytes(REMAPPED.build({"p": 1, "vector": 0x62, "svt": 1, "sid": 0x300}))


def test_an_answer_that_ends_in_the_middle_of_a_row_is_cut() -> None:
    *lines, last = numbered(vtd((4, 20), Tables([UnitFacts(0, 256, False, True, True, entries={1: ENTRY})])))
    whole = key_vtd.read([*lines, last])
    half = key_vtd.read([*lines, Line(last.number, last.text[:30], ended=False)])
    assert KEY.cut(whole, whole) is None
    assert "end of the file" in str(KEY.cut(half, whole))
