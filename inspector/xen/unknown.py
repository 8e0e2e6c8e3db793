"""A Xen of which no profile is known: what its own image tells of it, as a profile."""

from __future__ import annotations

from inspector.base.errors import VtdpiError
from inspector.xen.locate import Located
from inspector.xen.paging import PageTables
from inspector.xen.xen import Xen
from structs.xen.profile import Profile

VERSION_NOT_KNOWN = "of unknown version"


class NoSymbols(VtdpiError):
    """The image does not tell its own symbols: they are not in this target's memory."""


def recognise(located: Located) -> Xen:
    """The Xen that was located, with the symbols that its image carries.

    Raises:
        NoSymbols: the table of them is not in memory.
    """
    image = located.image
    if image.symbols is None:
        raise NoSymbols(f"the symbol table of Xen {image.version or VERSION_NOT_KNOWN} is not in this target's memory")
    symbols = {name: {"address": address} for name, address in image.symbols.addresses.items()}
    document = {
        "metadata": {"xen": {"build_id": image.build_id, "version": image.version or VERSION_NOT_KNOWN}},
        "base_types": {},
        "user_types": {},
        "symbols": symbols,
    }
    profile = Profile(document)
    return Xen(profile, _own_tables(profile, located.tables))


def _own_tables(profile: Profile, tables: PageTables) -> PageTables:
    """Xen's `idle_pg_table`, which maps all of Xen whatever runs; the given ones where it cannot be told."""
    try:
        return PageTables(tables.target, tables.translate(profile.symbol("idle_pg_table")))
    except (VtdpiError, LookupError):
        return tables
