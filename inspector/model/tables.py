"""Parts of a snapshot as tables of columns, decoded at once without a loop over records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inspector.model.data_table import DataTable
from structs.columns import Array, columns, records
from structs.irte import POSTED, REMAPPED

if TYPE_CHECKING:
    from inspector.model.snapshot import Snapshot


def irt(snapshot: Snapshot) -> DataTable:
    """The present entries of all remapping tables: `unit`, `index`, `format`, and each field by its mnemonic.

    A field that only one format has is masked in entries of the other.
    """
    units = [np.full(len(unit.indices), -1 if unit.index is None else unit.index) for unit in snapshot.units]
    indices = [np.array(unit.indices, np.uint32) for unit in snapshot.units]
    raw = records(REMAPPED, b"".join(unit.raw for unit in snapshot.units))
    posted = columns(REMAPPED, raw, ["im"])["im"] == 1
    made: dict[str, Array] = {
        "unit": np.concatenate([*units, np.zeros(0, int)]),
        "index": np.concatenate([*indices, np.zeros(0, np.uint32)]),
        "format": np.where(posted, POSTED.title, REMAPPED.title),
    }
    made["unit"] = np.ma.masked_equal(made["unit"], -1)
    remapped_columns = columns(REMAPPED, raw)
    posted_columns = columns(POSTED, raw)
    for name in dict.fromkeys((*remapped_columns, *posted_columns)):
        if name not in posted_columns:
            made[name] = np.ma.masked_where(posted, remapped_columns[name])
        elif name not in remapped_columns:
            made[name] = np.ma.masked_where(~posted, posted_columns[name])
        else:
            made[name] = np.where(posted, posted_columns[name], remapped_columns[name])
    return DataTable("interrupt-remapping entries", made)


def vcpus(snapshot: Snapshot) -> DataTable:
    """The vCPUs: who, where, run state, whether blocked, and the descriptor's fields (masked where there is none)."""
    listed = snapshot.vcpus
    none = np.array([vcpu.pi is None for vcpu in listed], bool)
    unplaced = np.array([vcpu.cpu is None for vcpu in listed], bool)
    unlisted = np.array([vcpu.blocking_list is None for vcpu in listed], bool)
    made: dict[str, Array] = {
        "name": np.array([vcpu.name for vcpu in listed], str),
        "runstate": np.array([vcpu.runstate for vcpu in listed], str),
        "blocked": np.array([vcpu.blocked for vcpu in listed], bool),
        "cpu": np.ma.array([vcpu.cpu or 0 for vcpu in listed], np.int64, mask=unplaced),
        "blocking_list": np.ma.array([vcpu.blocking_list or 0 for vcpu in listed], np.int64, mask=unlisted),
        "pending": np.ma.array([len(vcpu.pi.pir) if vcpu.pi else 0 for vcpu in listed], np.int64, mask=none),
    }
    for name in ("address", "on", "sn", "nv", "ndst"):
        values = [getattr(vcpu.pi, name) if vcpu.pi else 0 for vcpu in listed]
        made[name] = np.ma.array(values, np.uint64, mask=none)
    return DataTable("vCPUs", made)
