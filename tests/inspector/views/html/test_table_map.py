"""A table as a map: each present entry is in exactly one cell, and there are not too many."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.analysis.report import Entry, RemappingTable
from inspector.model.answer import Table
from inspector.views.html.table_map import CELLS, COLUMNS, key, table_map


def mapped(indices, size=65536, format="posted"):
    entries = [Entry(index, format, f"words of {index}") for index in indices]
    return table_map(RemappingTable("a table", size, entries, Table((), [])))


def titles(drawing):
    return [title.text for title in drawing.iter("title")]


def test_an_empty_table_is_one_row_of_free_cells():
    drawing = mapped([])
    assert titles(drawing) == [f"{number:#x}: not present" for number in range(COLUMNS)]
    assert drawing.get("aria-label") == "0 present entries of 65536"


def test_a_small_table_has_no_cells_beyond_its_end():
    assert len(titles(mapped([3], size=16))) == 16


def test_a_posted_entry_and_a_remapped_one_are_told_without_colour():
    assert [len(list(mapped([0], format=kind).iter("circle"))) for kind in ("posted", "remapped")] == [1, 0]
    for kind in ("posted", "remapped", "free"):
        assert "".join(key(kind, "words").itertext()) == "words"


def test_a_cell_for_several_tells_some_and_how_many_more():
    (first, *_) = titles(mapped([*range(20), 65535]))
    assert first.startswith("entries 0x0 to 0x3f, 20 present\n")
    assert first.endswith("and 12 more")


@given(st.sets(st.integers(0, 65535), max_size=40))
@settings(max_examples=12)
def test_every_entry_is_in_a_cell(indices):
    shown = titles(mapped(sorted(indices)))
    assert len(shown) <= CELLS
    counted = 0
    for title in shown:
        head = title.split("\n")[0]
        if head.startswith("entries"):
            counted += int(head.split(", ")[1].split()[0])
        else:
            counted += "words of" in head
    assert counted == len(indices)
