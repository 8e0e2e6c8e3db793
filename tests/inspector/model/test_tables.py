"""Tables of a snapshot say what the commands print."""

from __future__ import annotations

import numpy as np

import inspector.model.tables as tables
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot
from inspector.targets.open_file import open_file


def test_every_present_entry_field_by_field(run, unpacked, golden):
    core = golden("two-in-guest")
    with open_file(core) as target:
        snapshot = Inspection(target).snapshot
    printed = run("dump", core, "vcpus", "--json").json["vcpus"]
    table = tables.vcpus(snapshot)
    assert table["name"].tolist() == [v["name"] for v in printed]
    assert table["cpu"].tolist() == [v["cpu"] for v in printed]
    assert table["nv"].tolist() == [v["pi"]["nv"] if v["pi"] else None for v in printed]
    assert table["blocked"].tolist() == [v["blocked"] for v in printed]


def test_entries_of_a_simulated_machine(run):
    from inspector.targets.options import SimOptions
    from inspector.targets.sim.simulation import simulated

    snapshot = Inspection(simulated(SimOptions("wakeup-storm"))).snapshot
    (unit,) = run("sim", "--scenario", "wakeup-storm", "irt", "--json").json["units"]
    rows = list(tables.irt(snapshot).rows())
    assert len(rows) == len(unit["entries"]) > 20
    for row, entry in zip(rows, unit["entries"], strict=True):
        del entry["source"]
        assert {name: row[name] for name in entry} == entry
        assert all(row[name] in (None, 0) for name in set(row) - set(entry) - {"unit"})
    assert {row["format"] for row in rows} == {"posted", "remapped"}


def test_nothing_is_a_table_too():
    empty = Snapshot("nothing")
    assert len(tables.irt(empty)) == len(tables.vcpus(empty)) == 0
    assert isinstance(tables.irt(empty)["vector"], np.ndarray)
