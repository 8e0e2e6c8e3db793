"""Which CPUs are online."""

from __future__ import annotations

from inspector.xen.cpus import online


def test_the_online_ones_by_apic_id(layout, look):
    assert online(look()) == dict(enumerate(layout.config.apics))
    layout.memory.write(layout.symbol("cpu_online_map"), (1).to_bytes(8, "little"))
    assert online(look()) == {0: layout.config.apics[0]}
