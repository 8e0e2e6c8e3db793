"""A Xen without a profile: what its image tells, and the layouts that its memory confirms, as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from inspector.base.errors import UNREADABLE, VtdpiError
from inspector.kernels.paging import ADDRESS, PAGE, PRESENT, PageTables
from inspector.profiles import layouts, places, symbol_map
from inspector.profiles.image import Image
from inspector.profiles.layouts import Candidate
from inspector.profiles.symbol_table import SymbolTable
from inspector.xen import selfcheck
from inspector.xen.knowledge import Knowledge
from inspector.xen.layout_facts import Facts
from inspector.xen.locate import LINEAR_SLOT, Located
from inspector.xen.selfcheck import Verdict
from inspector.xen.xen import Xen
from structs.xen.layout import isf_types, of_profile
from structs.xen.profile import Profile

SOME_RELEASE = "0.0"
OWN_TABLE = "idle_pg_table"
VERSION_NOT_KNOWN = "of unknown version"


class NoSymbols(VtdpiError):
    """The image does not tell its own symbols: they are not in this target's memory."""


TELLING = 3
"""So many members that memory contradicts tell a layout of another build: 7 and more were in captures."""


class DoesNotFit(VtdpiError):
    """The layouts of a profile contradict what lies in memory."""


def recognise(located: Located, map: Path | None = None) -> Xen:
    """The Xen that was located, with the symbols that its image carries and the layouts that its memory confirms.

    Args:
        map: a file of its symbols. Without one, of an image that carries those of functions only, an installed one is
            taken.

    Raises:
        NoSymbols: the table of them is not in memory.
        VtdpiError: the map cannot be read, or is of another build.
    """
    image = located.image
    if image.symbols is None:
        raise NoSymbols(f"the symbol table of Xen {image.version or VERSION_NOT_KNOWN} is not in this target's memory")
    addresses = _addresses(image.symbols, located)
    map = map or (None if image.symbols.has_data else places.map_of(image))
    if map:
        addresses = {**symbol_map.of_image(map, image), **addresses}
    symbols = {name: {"address": address} for name, address in addresses.items()}
    bare = _profile(image, symbols, {})
    tables = _own_tables(bare, located.tables)
    verdicts = selfcheck.check(Facts(bare, tables), layouts.bundled(), image.version, image)
    return Xen(_profile(image, symbols, verdicts), tables, knowledge=Knowledge(image, verdicts, map))


def refuse_misfit(xen: Xen, image: Image | None = None) -> list[str]:
    """Compare a profile's layouts with what lies in the memory of the Xen that it was given for.

    Layouts of another build are contradicted at many members. One or two may be what a machine has not set up, such as
    a virtual APIC's version: they are no reason to refuse symbols of the very build, and are returned.

    Args:
        image: its code, if that is to be asked too.

    Raises:
        DoesNotFit: they contradict it.
    """
    # Whatever it calls itself: the only one of its release.
    own = layouts.Build(SOME_RELEASE, xen.profile.build_id, "the profile")
    candidates = {struct: [Candidate(layout, (own,))] for struct, layout in of_profile(xen.profile).items()}
    verdicts = selfcheck.check(Facts(xen.profile, xen.memory), candidates, SOME_RELEASE, image)
    wrong = [member for verdict in verdicts.values() for member in verdict.refuted]
    if len(wrong) >= TELLING:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise DoesNotFit(
            f"the layouts in the profile of Xen {xen.profile.version} do not fit the Xen in memory, which contradicts "
            f"{', '.join(wrong[:3])}{more}; make its profile from its own xen-syms with DWARF, or give none"
        )
    return wrong


def without(xen: Xen, members: Sequence[str]) -> Xen:
    """The same Xen with a profile that does not tell some members, named as in `vcpu.processor`."""
    layouts = of_profile(xen.profile)
    for struct, _, path in (member.partition(".") for member in members):
        kept = {known: place for known, place in layouts[struct].members.items() if known != path}
        layouts[struct] = replace(layouts[struct], members=kept)
    base, user = isf_types(layouts.values())
    document = xen.profile.document
    base = {**document["base_types"], **base}
    return replace(xen, profile=Profile({**document, "base_types": base, "user_types": user}))


def _addresses(symbols: SymbolTable, located: Located) -> dict[str, int]:
    """Its symbols, and of those that a table of functions only lacks, what finds the same Xen again."""
    image, tables = located.image, located.tables
    known = dict(symbols.addresses)
    if image.note_address is not None:
        known.setdefault("__note_gnu_build_id_start", image.note_address)
    if OWN_TABLE not in known and (own := next(_own_roots(image, tables), None)):
        known[OWN_TABLE] = own
    return known


def _own_roots(image: Image, tables: PageTables) -> Iterator[int]:
    """The addresses of level-4 tables in the image that map themselves as Xen's do."""
    for start, raw in image.parts:
        skipped = -start % PAGE
        pages = (len(raw) - skipped) // PAGE
        entries = np.frombuffer(raw, "<u8", pages * PAGE // 8, skipped).reshape(-1, PAGE // 8)[:, LINEAR_SLOT]
        for page in np.flatnonzero(entries & np.uint64(PRESENT) == PRESENT).tolist():
            at = start + skipped + page * PAGE
            if int(entries[page]) & ADDRESS == tables.translate(at):
                yield at


def _profile(image: Image, symbols: Mapping[str, Mapping[str, int]], verdicts: Mapping[str, Verdict]) -> Profile:
    base, user = isf_types(verdict.layout for verdict in verdicts.values() if verdict.layout)
    return Profile(
        {
            "metadata": {"xen": {"build_id": image.build_id, "version": image.version or VERSION_NOT_KNOWN}},
            "base_types": base,
            "user_types": user,
            "symbols": symbols,
        }
    )


def _own_tables(profile: Profile, tables: PageTables) -> PageTables:
    """Xen's `idle_pg_table`, which maps all of Xen whatever runs; the given ones where it cannot be told."""
    try:
        return PageTables(tables.target, tables.translate(profile.symbol(OWN_TABLE)))
    except UNREADABLE:
        return tables
