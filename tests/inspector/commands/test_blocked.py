"""`blocked`: the lists, on real captures."""

from __future__ import annotations


def test_blocked_shows_the_lists_in_order(run, golden):
    document = run("dump", golden("cpu-offline-after-fixup"), "blocked", "--json").json
    assert [(of_cpu["cpu"], of_cpu["vcpus"]) for of_cpu in document["lists"]] == [(0, ["d1v4", "d1v5", "d1v1"])]
    assert "0xffff" in run("dump", golden("cpu-offline-after-fixup"), "blocked", "0").out
    assert run("dump", golden("cpu-offline-after-fixup"), "blocked", "7").status == 2


def test_each_node_with_its_pointers(run, golden):
    """Around the list: each node's neighbours are the ones that the list says."""
    (of_cpu,) = run("dump", golden("cpu-offline-after-fixup"), "blocked", "--json").json["lists"]
    assert of_cpu["broken"] is None
    assert of_cpu["locked"] is False
    text = run("dump", golden("cpu-offline-after-fixup"), "blocked").out
    assert text.index("d1v4") < text.index("d1v5") < text.index("d1v1")


def test_a_cpu_that_there_is_not(run, golden):
    told = run("dump", golden("cpu-offline-after-fixup"), "blocked", "7")
    assert (told.status, told.out) == (2, "")
    assert "7" in told.err
    assert told.err.count("\n") == 1


def test_the_simulation_shows_who_blocks_where(run):
    told = run("sim", "--scenario", "idle", "-c", "run", "-c", "block d1v0", "-c", "run", "-c", "blocked")
    assert told.status == 0
    assert "d1v0" in told.out[told.out.index("CPU") :]
