"""Which device, IO-APIC pin or timer uses an interrupt-remapping entry: the answer of `inspector.analysis.sources`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspector.analysis.sources import InterruptSources, Source
from inspector.capture.inspection import Inspection
from inspector.vtd.units import Unit


class Sources:
    """The users of one unit's entries."""

    def __init__(self, inspection: Inspection, unit: Unit) -> None:
        self._unit = next(of for of in inspection.deferred.units if of.index == unit.index)
        self._sources = InterruptSources(inspection.deferred)

    def of(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """What uses the entry: its `kind` and what is known of it."""
        return self._sources.of(self._unit, entry).document()


def in_words(source: Mapping[str, Any]) -> str:
    """A source for a reader."""
    return str(Source(**source))
