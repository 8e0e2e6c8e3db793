"""Layouts of a build of which no profile is known: candidates, checked against what lies in memory.

Each structure is settled on its own. A candidate is dropped when memory refutes one of its members. Of those left, a
member is

* `proved` if a check that could have failed finds there what only that member holds (a pointer back, a known number),
  or Xen's own code reaches it there;
* `consistent` if builds of its release, or of both beside it, are known, all candidates that are left have it at the
  same place, nothing contradicts it, and it lies between two proved members, or every known build of this release and
  of those beside it has it there, or has it as far from a member that is proved;
* unknown otherwise, and then no part of the profile.

Where no known layout is what the code tells, one is put together from that (`inspector.xen.layout_derive`) and is a
candidate like the others. A structure of which memory holds none, so that nothing is proved, is taken as consistent
only if `struct domain` and `struct vcpu` are settled: a build with other options (larger locks, say) would have refuted
those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final, Literal

from inspector.profiles.image import Image
from inspector.profiles.layouts import Candidate, around
from inspector.xen import layout_code
from inspector.xen.layout_checks import CHECKS, Settled
from inspector.xen.layout_code import MAY_BE_MISSING
from inspector.xen.layout_derive import derive
from inspector.xen.layout_facts import Facts
from structs.frozen import frozen
from structs.xen.layout import Place, StructLayout

PROVED: Final = "proved"
CONSISTENT: Final = "consistent"
UNKNOWN: Final = "unknown"
State = Literal["proved", "consistent", "unknown"]
TELLING = ("domain", "vcpu")
"""Large structures with locks and much that is optional in them: what fits these is built as known builds are."""
ANCHORED_AT_ITS_END = frozenset({"cpu_info"})
"""It lies at the top of a stack, found from above."""


@frozen
class Verdict:
    """What the self-check made of one structure.

    Attributes:
        layout: the members that are proved or consistent; None if no candidate fits.
        states: by member, for all members that any candidate has.
        refuted: what refuted the candidates that were dropped, by member.
        builds: the builds whose layout it is.
    """

    struct: str
    layout: StructLayout | None
    states: Mapping[str, State]
    refuted: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()


@frozen
class Fit:
    """A candidate that nothing refutes, and the members that memory proves."""

    candidate: Candidate
    proved: frozenset[str] = field(default_factory=frozenset)


def check(
    facts: Facts, candidates: Mapping[str, list[Candidate]], version: str | None, image: Image | None = None
) -> dict[str, Verdict]:
    """Settle every structure of which there are candidates, those first on which others depend.

    Args:
        version: of the Xen in memory, as far as it is known.
        image: its code, if that is to be asked too.
    """
    settled = Settled(facts, {struct: [c.layout for c in known] for struct, known in candidates.items()}, image)
    verdicts: dict[str, Verdict] = {}
    order = [*CHECKS, *(struct for struct in candidates if struct not in CHECKS)]
    for struct in order:
        if known := candidates.get(struct):
            blind = all((one := verdicts.get(needed)) and one.layout for needed in TELLING)
            verdict = _settle(settled, struct, known, version, bool(blind))
            verdicts[struct] = verdict
            settled.layouts[struct] = verdict.layout
    return verdicts


def _settle(
    settled: Settled, struct: str, candidates: Sequence[Candidate], version: str | None, blind: bool
) -> Verdict:
    """The verdict on one structure. `blind`: whether one of which nothing is proved can be told."""
    beside = around(candidates, version)
    if derived := derive(settled.image, struct, beside):
        candidates = [*candidates, derived]
    fits, refuted = _tried(settled, struct, candidates)
    fits = _agreeing(fits)
    paths = sorted({path for fit in fits or map(Fit, candidates[:1]) for path in fit.candidate.layout.members})
    states: dict[str, State]
    if any(fit.proved for fit in fits) or (blind and fits and not refuted):
        states = {path: _state(path, fits, beside, candidates) for path in paths}
    else:
        states = dict.fromkeys(paths, UNKNOWN)
    if not any(state != UNKNOWN for state in states.values()):
        return Verdict(struct, None, states, tuple(dict.fromkeys(refuted)))
    # Where those left differ, what they differ in is unknown; a size is wanted of some structures only.
    best = fits[0].candidate.layout
    members = {path: best.members[path] for path, state in states.items() if state != UNKNOWN}
    builds = tuple(dict.fromkeys(build.version for fit in fits for build in fit.candidate.builds))
    return Verdict(struct, StructLayout(struct, best.size, members), states, tuple(dict.fromkeys(refuted)), builds)


def _tried(settled: Settled, struct: str, candidates: Sequence[Candidate]) -> tuple[list[Fit], list[str]]:
    """Those that nothing refutes, and the members that refuted the others."""
    fits, refuted = [], list[str]()
    for candidate in candidates:
        said = list(CHECKS[struct](settled, candidate.layout)) if struct in CHECKS else []
        said += layout_code.said(settled.image, candidate.layout)
        wrong = sorted({path for path, holds in said if not holds})
        refuted += [f"{struct}.{path}" for path in wrong]
        if not wrong:
            fits.append(Fit(candidate, frozenset(path for path, holds in said if holds)))
    return fits, refuted


def _agreeing(fits: list[Fit]) -> list[Fit]:
    """Without those that have a member elsewhere than where another proves it."""
    proved: dict[str, set[Place]] = {}
    for fit in fits:
        for path in fit.proved:
            if place := _place(fit.candidate.layout, path):
                proved.setdefault(path, set()).add(place)
    certain = {path: next(iter(places)) for path, places in proved.items() if len(places) == 1}
    held = [(fit, {path: _place(fit.candidate.layout, path) for path in certain}) for fit in fits]
    agreeing = [fit for fit, places in held if places == certain]
    # Where each lacks what another proves, one that has it nowhere else is left.
    return agreeing or [
        fit for fit, places in held if all(place in (None, certain[path]) for path, place in places.items())
    ]


def _place(layout: StructLayout, path: str) -> Place | None:
    """Where a member is, counted from where the structure is anchored in memory."""
    place = layout.members.get(path)
    if place and layout.name in ANCHORED_AT_ITS_END:
        return replace(place, offset=place.offset - layout.size)
    return place


def _state(path: str, fits: list[Fit], beside: Sequence[Candidate], known: Sequence[Candidate]) -> State:
    places = {_place(fit.candidate.layout, path) for fit in fits}
    if len(places) != 1 or None in places:
        return UNKNOWN
    if all(path in fit.proved for fit in fits):
        return PROVED
    if path in MAY_BE_MISSING:
        return UNKNOWN
    if not beside:
        # Of a release beyond the known ones: two changes that make up for each other are known to nobody.
        return UNKNOWN
    if all(_bracketed(path, fit, known) for fit in fits):
        return CONSISTENT
    everywhere = {_place(candidate.layout, path) for candidate in beside}
    return CONSISTENT if everywhere == places or _kept_distance(path, fits, beside) else UNKNOWN


def _kept_distance(path: str, fits: list[Fit], beside: Sequence[Candidate]) -> bool:
    """Whether in every build around it lies as far from a member that is proved as in those that fit."""
    for anchor in frozenset.intersection(*(fit.proved for fit in fits)):
        distances = {_distance(candidate.layout, anchor, path) for candidate in (*beside, *(f.candidate for f in fits))}
        if beside and len(distances) == 1 and None not in distances:
            return True
    return False


def _distance(layout: StructLayout, start: str, end: str) -> int | None:
    first, last = layout.members.get(start), layout.members.get(end)
    return last.offset - first.offset if first and last else None


def _bracketed(path: str, fit: Fit, known: Sequence[Candidate]) -> bool:
    """Whether proved members lie on both sides, and each known layout in which those two are as far apart has it there.

    What shifts a member shifts what follows it; but two changes may make up for each other.
    """
    members = fit.candidate.layout.members
    anchors = sorted((members[proved].offset, proved) for proved in fit.proved if proved in members)
    at = members[path].offset
    before = [proved for offset, proved in anchors if offset <= at]
    after = [proved for offset, proved in anchors if offset >= at]
    if not before or not after:
        return False
    start, end = before[-1], after[0]
    alike = [
        one.layout for one in known if _distance(one.layout, start, end) == _distance(fit.candidate.layout, start, end)
    ]
    wanted = _distance(fit.candidate.layout, start, path)
    return all(_distance(layout, start, path) in (None, wanted) for layout in alike)


def score(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many members are in each state."""
    states = [state for verdict in verdicts for state in verdict.states.values()]
    return {state: states.count(state) for state in (PROVED, CONSISTENT, UNKNOWN)}
