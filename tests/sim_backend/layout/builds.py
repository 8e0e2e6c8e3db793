"""What these tests have in common: machines of several builds."""

from __future__ import annotations

from sim_backend.layout.page_tables import translate

BUILDS = (("4.20", 0), ("4.17", 4 << 20))


"""And how much memory there is above 4 GiB."""


NIC, DISK = 0x0018, 0x0308


def read_u64(layout, virtual):
    return layout.memory.u64(translate(layout.memory, layout.symbol("idle_pg_table"), virtual))
