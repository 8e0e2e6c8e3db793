"""The VT-d units of a snapshot: what was seen of them, in place of registers and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from inspector.base.errors import NotHere
from inspector.model.vtd import Scope, VtdUnit
from inspector.targets.recorded.recorded import RecordedTarget
from inspector.vtd.units import RemappingTable, Unit
from structs.columns import Array
from structs.irte import IRTE
from structs.registers import IRTA


@dataclass(frozen=True)
class RecordedUnit(Unit):
    """A unit of which a snapshot tells."""

    seen: VtdUnit = field(kw_only=True)

    @cached_property
    def capabilities(self) -> Mapping[str, int]:
        """CAP's PI field, which is all that a snapshot keeps. Raises NotHere if it does not."""
        if self.seen.cap_pi is None:
            raise NotHere(f"{self.target.description} does not tell unit {self.index}'s capabilities")
        return {"pi": self.seen.cap_pi}

    @cached_property
    def table(self) -> RemappingTable:
        """Where the table was; a base of 0 if that is not known. Raises NotHere if there was none."""
        seen = self.seen
        if seen.base is None or not seen.size:
            raise NotHere(f"{self.target.description} tells of no interrupt-remapping table of unit {self.index}")
        fields = {"irta": seen.base, "s": seen.size.bit_length() - 2, "eime": seen.eime}
        value = int.from_bytes(IRTA.build(fields), "little") if seen.base else 0
        return RemappingTable(value, seen.base, seen.size, seen.eime, seen.origin)

    def rows(self) -> Array:
        """The table, shape (N, 16): the entries that were present, zeros elsewhere."""
        whole = np.zeros((self.table.entries, IRTE.size), "u1")
        indices = np.array(self.seen.indices, int)
        known = indices < len(whole)
        whole[indices[known]] = np.frombuffer(self.seen.raw, "u1").reshape(-1, IRTE.size)[known]
        return whole


def units(target: RecordedTarget) -> list[RecordedUnit]:
    """The units that a snapshot tells of. Raises NotHere if there are none."""
    if not target.snapshot.units:
        raise NotHere(f"{target.description} tells of no VT-d unit")
    return [
        RecordedUnit(
            target,
            -1 if seen.index is None else seen.index,
            seen.register_base,
            seen.segment,
            tuple(Scope(at.kind, at.enumeration_id, at.sid) for at in seen.platform),
            None,
            None,
            seen=seen,
        )
        for seen in target.snapshot.units
    ]
