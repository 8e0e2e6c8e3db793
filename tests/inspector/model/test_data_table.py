"""Tables of columns: rows, pandas, a notebook's cell."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pytest

from inspector.base.errors import UsageError
from inspector.model import data_table, notebook
from inspector.model.data_table import DataTable


@pytest.fixture
def table():
    return DataTable(
        "entries",
        {
            "index": np.arange(100, dtype=np.uint32),
            "pda": np.ma.array(np.full(100, (1 << 64) - 1, np.uint64), mask=np.arange(100) % 2 == 0),
            "format": np.array(["<posted>"] * 100),
        },
    )


def test_rows_have_none_where_nothing_is(table):
    rows = list(table.rows())
    assert len(rows) == len(table) == 100
    assert rows[:2] == [
        {"index": 0, "pda": None, "format": "<posted>"},
        {"index": 1, "pda": (1 << 64) - 1, "format": "<posted>"},
    ]
    assert repr(table) == "<entries: 100 rows of index, pda, format>"


def test_pandas_keeps_what_is_not_there_and_64_bits(table):
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert list(frame.columns) == ["index", "pda", "format"]
    assert frame["pda"].isna().sum() == 50
    assert frame["pda"][1] == (1 << 64) - 1
    assert isinstance(frame, pandas.DataFrame)


def test_a_cell_has_the_first_rows_escaped(table):
    cell = table._repr_html_()
    assert cell.count("<tr>") == 61
    assert "the first 60 of 100 rows" in cell
    assert "<td>&lt;posted&gt;</td>" in cell
    assert len(DataTable("nothing", {})) == 0


def test_the_examples_run():
    for module in (data_table, notebook):
        result = doctest.testmod(module)
        assert (result.attempted > 0, result.failed) == (True, 0)


def test_without_pandas_it_says_what_to_install(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="to_pandas needs pandas: `pip install pandas`"):
        table.to_pandas()
