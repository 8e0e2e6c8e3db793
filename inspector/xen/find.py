"""Find Xen in a target's memory with no help, and tell whether symbols belong to it.

A known build, the cheap ways first: page tables that a CPU uses; its build-id note, which lies at a known distance from
a 2 MiB boundary. For any other build, `inspector.xen.locate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.base.errors import NotReadable, VtdpiError
from inspector.kernels.paging import NotMapped, PageTables, roots_in_use
from inspector.profiles import store as profiles
from inspector.profiles.image import CODEVIEW, DIRECTORY_SIZE, NOTE, RECORD_AT
from inspector.targets.target import Target
from inspector.xen.xen import Xen, image_base
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

if TYPE_CHECKING:
    from inspector.xen.locate import Located

NOTE_SIZE = 64
"""Bytes that hold a GNU build-id note, or a debug directory and what of its CodeView record tells the build."""


class XenNotFound(VtdpiError):
    """No Xen was found, or not the one that the symbols belong to. `located` is the one that is there, if any is."""

    def __init__(self, why: str, located: Located | None) -> None:
        super().__init__(why)
        self.located = located


def find(target: Target, wanted: Sequence[Profile] | None = None, before: Xen | None = None) -> Xen:
    """The Xen in a target's memory.

    Args:
        target: where to look.
        wanted: the profiles that the user named, of which one has to fit; without them every known one is tried.
        before: the one that was there at the last look; it is tried first.

    Raises:
        XenNotFound: there is none of a known build, or one of another build than `wanted`; the message says which.
    """
    same = before is not None and (wanted is None or any(each.build_id == before.profile.build_id for each in wanted))
    if before and same and (xen := _xen_at(target, before.memory.root, before.profile)):
        return replace(xen, knowledge=before.knowledge)
    roots = roots_in_use(target)
    tried = []
    for profile in wanted or profiles.known():
        if xen := _first(target, roots, profile):
            return xen
        tried.append(profile)
    for profile in tried:
        if xen := _first(target, _roots_by_build_id(target, profile), profile):
            return xen
    from inspector.xen.locate import locate

    located = locate(target)
    raise XenNotFound(_why_not(target, located, wanted[0] if wanted else None), located)


def in_use(target: Target, wanted: Sequence[Profile] | None = None) -> Xen | None:
    """The Xen of a wanted build, or else of any known one, that page tables in use map; None if they map none."""
    roots = roots_in_use(target)
    return next(filter(None, (_first(target, roots, profile) for profile in wanted or profiles.known())), None)


def _first(target: Target, roots: Iterable[int], profile: Profile) -> Xen | None:
    return next(filter(None, (_xen_at(target, root, profile) for root in roots)), None)


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
    """Whether these bytes are the note, or the debug directory, of this build."""
    if raw is None:
        return False
    if note := NOTE.match(raw):
        return raw[note.end() : note.end() + note[1][0]].hex() == profile.build_id
    record = CODEVIEW.match(raw, DIRECTORY_SIZE - RECORD_AT)
    return record is not None and record[2].hex() == profile.build_id


def _roots_by_build_id(target: Target, profile: Profile) -> Iterator[int]:
    """Physical addresses of `idle_pg_table` in every copy of the image, which lies on a 2 MiB boundary."""
    if not (profile.has_symbol("__note_gnu_build_id_start") and profile.has_symbol("idle_pg_table")):
        return
    from inspector.xen.locate import image_starts

    note = profile.symbol("__note_gnu_build_id_start")
    root = profile.symbol("idle_pg_table")
    starts = image_starts(target)
    parts = target.read_parts([(start + note - image_base(note), NOTE_SIZE) for start in starts])
    # From the top: Xen moves itself up at boot and leaves the copy that was loaded behind.
    for start, part in zip(reversed(starts), reversed(parts), strict=True):
        if _is_note(part, profile):
            yield start + root - image_base(root)


def _why_not(target: Target, located: Located | None, wanted: Profile | None) -> str:
    found = _identity(located) if located else None
    if wanted is None:
        if found is None:
            return f"no Xen found in {target.description}; if one is there, give its xen-syms with --symbols"
        return f"the Xen {found}, in {target.description}, is of no known build; give its xen-syms with --symbols"
    given = f"the symbols are of Xen {wanted.version}, build-id {wanted.build_id}"
    if found is None:
        return f"{given}, but {target.description} holds no such Xen; give its own xen-syms, or none to try all known"
    return f"{given}, but {target.description} holds Xen {found}; give the xen-syms of that build"


def _identity(located: Located) -> str:
    return f"{located.image.version or 'of unknown version'}, build-id {located.image.build_id}"
