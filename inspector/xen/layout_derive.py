"""A layout that no known build has, put together from what Xen's own code says and what known layouts have in common.

The members that known functions reach are where those functions, all of them, reach something of that size and nothing
else of it that could be meant. The others keep their distance from the nearest of these, if they have the same in every
known build of the releases around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.profiles.image import Image
from inspector.profiles.layouts import Candidate
from inspector.xen.layout_code import ACCESSES, MAY_BE_MISSING, reached_at
from structs.xen.layout import Place, StructLayout

FEWEST = 3
"""Members that the code must tell before a layout is made of them."""
REACH = 128
"""Bytes by which a member has moved at most from where a known build has it."""


def derive(image: Image | None, struct: str, beside: Sequence[Candidate]) -> Candidate | None:
    """A candidate for a structure, if none of the known ones has its members where the code has them; else None, and
    None if the code tells too little.

    Args:
        beside: the known layouts of the releases around.
    """
    if image is None or not beside or struct not in ACCESSES:
        return None
    paths = ACCESSES[struct].keys() - MAY_BE_MISSING
    told = _apart({path: place for path in sorted(paths) if (place := _told(image, struct, path, beside))})
    known = [candidate.layout.members for candidate in beside]
    if len(told) < FEWEST or any(
        all(members.get(path, place) == place for path, place in told.items()) for members in known
    ):
        return None
    members = dict(told)
    everywhere = frozenset.intersection(*(frozenset(known.layout.members) for known in beside))
    for path in everywhere - told.keys() - MAY_BE_MISSING:
        if place := _kept(path, told, beside):
            members[path] = place
    return Candidate(StructLayout(struct, beside[0].layout.size, members), ())


def _apart(told: Mapping[str, Place]) -> dict[str, Place]:
    """Without those that would share a byte: of one of them the code means something else."""
    return {
        path: place
        for path, place in told.items()
        if not any(
            place.offset < other.offset + other.size and other.offset < place.offset + place.size
            for name, other in told.items()
            if name != path
        )
    }


def _told(image: Image, struct: str, path: str, beside: Sequence[Candidate]) -> Place | None:
    """The one place at which all functions reach a member of that size, not far from where known builds have it."""
    known = [place for candidate in beside if (place := candidate.layout.members.get(path))]
    if not known:
        return None
    size = known[0].size
    near = range(min(place.offset for place in known) - REACH, max(place.offset for place in known) + REACH + 1)
    found = [offset for offset in reached_at(image, struct, path, size) if offset in near]
    return Place(found[0], size) if len(found) == 1 else None


def _kept(path: str, told: Mapping[str, Place], beside: Sequence[Candidate]) -> Place | None:
    """Where a member is by its distance from the nearest told one, if it is the same in every known build around."""
    first = beside[0].layout.members
    near = sorted((abs(first[anchor].offset - first[path].offset), anchor) for anchor in told if anchor in first)
    for _, anchor in near:
        distances = {
            candidate.layout.members[path].offset - candidate.layout.members[anchor].offset
            for candidate in beside
            if anchor in candidate.layout.members
        }
        if len(distances) == 1:
            return Place(told[anchor].offset + distances.pop(), first[path].size, first[path].bit, first[path].bits)
    offsets = {candidate.layout.members[path] for candidate in beside}
    return offsets.pop() if len(offsets) == 1 else None
