"""Pretty-printers: Xen's `struct pi_desc` and `struct iremap_entry`, field by field under the specification's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gdb  # type: ignore[import-untyped]
import gdb.printing  # type: ignore[import-untyped]

from inspector.gdb_plugin.packages import importing

NAMES = ("pi_desc", "iremap_entry")


def define() -> None:
    """Register the printers with gdb, under the name `vtdpi` (`info pretty-printer`)."""
    collection = gdb.printing.RegexpCollectionPrettyPrinter("vtdpi")
    for name in NAMES:
        collection.add_printer(name, f"^{name}$", _printer)
    gdb.printing.register_pretty_printer(None, collection, replace=True)


class _Record:
    """A record's fields: reserved ones only if they are not zero."""

    def __init__(self, title: str | None, fields: list[tuple[str, str]]) -> None:
        self._title = title
        self._fields = fields

    def to_string(self) -> str | None:
        """What it is, where that is not plain."""
        return self._title

    def children(self) -> Iterator[tuple[str, str]]:
        """Its fields."""
        return iter(self._fields)


def _printer(value: Any) -> _Record | None:
    """The printer for a value; None, so that gdb prints it as it is, if its bytes are not to be had."""
    try:
        with importing():
            from structs.irte import IRTE
            from structs.pi_desc import PI_DESC, vectors

        raw = _bytes(value)
    except (ImportError, gdb.error):
        return None
    if raw is None:
        return None
    record = PI_DESC if len(raw) == PI_DESC.size else IRTE.record_of(raw)
    fields = {
        name: f"{field:#x}" if field > 9 else str(field) for name, field in record.visible(record.parse(raw)).items()
    }
    if record is PI_DESC:
        posted = vectors(record.parse(raw)["pir"])
        fields["pir"] = "{" + ", ".join(f"{vector:#x}" for vector in posted) + "}"
        return _Record(None, list(fields.items()))
    return _Record(record.title, list(fields.items()))


def _bytes(value: Any) -> bytes | None:
    if hasattr(value, "bytes"):
        return bytes(value.bytes)
    if value.address is None:
        return None
    return bytes(gdb.selected_inferior().read_memory(int(value.address), value.type.sizeof))
