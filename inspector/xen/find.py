"""Find Xen in a target's memory with no help, and tell whether symbols belong to it.

Three ways, the cheap ones first: page tables that a CPU uses; the build-id note of a known build, which lies at a
known distance from a 2 MiB boundary; any level-4 table that maps Xen's image and, as each of Xen's does, itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from inspector.base.errors import NotReadable, VtdpiError
from inspector.profiles import store as profiles
from inspector.profiles.dwarf import VERSION
from inspector.targets.ranges import Range, Ranges
from inspector.targets.target import Target
from inspector.xen.paging import ADDRESS, PAGE, PRESENT, NotMapped, PageTables
from inspector.xen.xen import Xen, image_base
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

ALIGNMENT = 2 << 20
NOTE = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0(.{20})", re.DOTALL)
NOTE_SIZE = 36

# XEN_VIRT_START since Xen 4.14, and before; __start_xen lies 2 MiB above, and no image exceeded 16 MiB.
IMAGES = (0xFFFF82D040000000, 0xFFFF82D080000000)
IMAGE_SIZE = 16 << 20

# The level-4 slot through which each of Xen's page tables maps itself (LINEAR_PT_VIRT_START).
LINEAR_SLOT = 258
SCAN_BYTES = 4 << 20
# Where RAM is not known, no more than what PCs have RAM in: a read of a device may have an effect.
PROBED_WITHOUT_A_MAP = Range(1 << 20, 2 << 30)


class XenNotFound(VtdpiError):
    """No Xen was found, or not the one that the symbols belong to."""


def find(target: Target, wanted: Profile | None = None, before: Xen | None = None) -> Xen:
    """The Xen in a target's memory.

    Args:
        target: where to look.
        wanted: the profile that the user gave; without it every known one is tried.
        before: the one that was there at the last look; it is tried first.

    Raises:
        XenNotFound: there is none of a known build, or one of another build than `wanted`; the message says which.
    """
    candidates = [wanted] if wanted else list(profiles.known())
    roots = sorted({cpu.registers["cr3"] & ADDRESS for cpu in target.cpus() if cpu.registers.get("cr3")})
    known = {profile.build_id for profile in candidates}
    in_use = [(before.profile, before.memory.root)] if before and before.profile.build_id in known else []
    in_use += ((profile, root) for profile in candidates for root in roots)
    by_build_id = ((profile, root) for profile in candidates for root in _roots_by_build_id(target, profile))
    for profile, root in chain(in_use, by_build_id):
        if xen := _xen_at(target, root, profile):
            return xen
    raise XenNotFound(_why_not(target, roots, wanted, candidates))


def _xen_at(target: Target, root: int, profile: Profile) -> Xen | None:
    """The Xen of this build whose image these page tables map, on Xen's own `idle_pg_table`."""
    tables = PageTables(target, root)
    try:
        if not _is_note(tables.read(profile.symbol("__note_gnu_build_id_start"), NOTE_SIZE), profile):
            return None
        return Xen(profile, PageTables(target, tables.translate(profile.symbol("idle_pg_table"))))
    except (NotMapped, NotReadable, ProfileError):
        # Also a profile that lacks what a search needs only means that this one does not fit.
        return None


def _is_note(raw: bytes | None, profile: Profile) -> bool:
    return raw is not None and (match := NOTE.fullmatch(raw)) is not None and match[1].hex() == profile.build_id


def _roots_by_build_id(target: Target, profile: Profile) -> Iterator[int]:
    """Physical addresses of `idle_pg_table` in every copy of the image, which lies on a 2 MiB boundary."""
    if not (profile.has_symbol("__note_gnu_build_id_start") and profile.has_symbol("idle_pg_table")):
        return
    note = profile.symbol("__note_gnu_build_id_start")
    root = profile.symbol("idle_pg_table")
    starts = Ranges.of(target.memory() or (PROBED_WITHOUT_A_MAP,)).multiples(ALIGNMENT)
    places = [start + note - image_base(note) for start in starts]
    parts = target.read_parts([(place, NOTE_SIZE) for place in places])
    # From the top: Xen moves itself up at boot and leaves the copy that was loaded behind.
    for start, part in zip(reversed(starts), reversed(parts), strict=True):
        if _is_note(part, profile):
            yield start + root - image_base(root)


def _roots_by_scan(target: Target) -> Iterator[int]:
    """Physical addresses of all level-4 tables that map themselves as Xen's do; none where a scan costs too much."""
    for known in (target.memory() or ()) if target.scannable else ():
        for start in range(known.start + PAGE - 1 & ~(PAGE - 1), known.end - PAGE + 1, SCAN_BYTES):
            size = min(SCAN_BYTES, known.end - start) & ~(PAGE - 1)
            entries = np.frombuffer(target.read(start, size), "<u8").reshape(-1, PAGE // 8)[:, LINEAR_SLOT]
            pages = np.arange(start, start + size, PAGE, dtype=np.uint64)
            own = (entries & np.uint64(ADDRESS) == pages) & (entries & np.uint64(PRESENT) == PRESENT)
            yield from pages[own].tolist()


def _why_not(target: Target, roots: Sequence[int], wanted: Profile | None, candidates: Sequence[Profile]) -> str:
    found = next(
        filter(None, (_identify(PageTables(target, root)) for root in (*roots, *_roots_by_scan(target)))), None
    )
    if wanted is None:
        if found is None:
            return f"no Xen found in {target.description}; if one is there, give its xen-syms with --symbols"
        return f"the Xen {found}, in {target.description}, is of no known build; give its xen-syms with --symbols"
    given = f"the symbols are of Xen {wanted.version}, build-id {wanted.build_id}"
    if found is None:
        return f"{given}, but {target.description} holds no such Xen; give its own xen-syms, or none to try all known"
    return f"{given}, but {target.description} holds Xen {found}; give the xen-syms of that build"


def _identify(tables: PageTables) -> str | None:
    """The version and build-id of the image that these tables map, whatever build it is."""
    for base in IMAGES:
        parts = tables.read_parts([(base + at, PAGE) for at in range(ALIGNMENT, IMAGE_SIZE, PAGE)])
        image = b"".join(part for part in parts if part is not None)
        if note := NOTE.search(image):
            version = VERSION.search(image)
            return f"{version[1].decode() if version else 'of unknown version'}, build-id {note[1].hex()}"
    return None
