"""The bundled layouts of Xen's structures, for builds of which no profile is known.

One file for all builds: each different layout of a structure stands once, with the builds that have it. It is made by
`vtdpi profile bundle` from unstripped builds, and says where these came from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import structs.xen
from structs.frozen import frozen
from structs.xen import variants
from structs.xen.layout import Place, StructLayout

FORMAT = "vtdpi layouts"
VERSION = re.compile(r"(\d+)\.(\d+)")


@frozen
class Build:
    """A build that a layout was read from.

    `own_options`: built with options that shift members, such as CONFIG_DEBUG for its locks, or without LIVEPATCH.
    """

    version: str
    build_id: str
    origin: str
    own_options: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """As a file of layouts has it."""
        told = {"version": self.version, "build_id": self.build_id, "origin": self.origin}
        return told | ({"own_options": True} if self.own_options else {})


@frozen
class Candidate:
    """A layout of one structure, and the builds that have it."""

    layout: StructLayout
    builds: tuple[Build, ...]


@lru_cache(maxsize=1)
def bundled() -> dict[str, list[Candidate]]:
    """Every known layout, by structure; a member has the same name in all of them."""
    text = Path(structs.xen.__file__).with_name("layouts.json").read_text()
    return {
        struct: [Candidate(_renamed(one.layout), one.builds) for one in known] for struct, known in loads(text).items()
    }


def _renamed(layout: StructLayout) -> StructLayout:
    """With the newest version's names, so that old builds' layouts are candidates for the same members."""
    members = {variants.newest(path): place for path, place in layout.members.items()}
    return StructLayout(layout.name, layout.size, members)


def around(candidates: Sequence[Candidate], version: str | None) -> list[Candidate]:
    """The candidates of a release and of those beside it; none if there is none of both sides, nor of itself.

    What one with options of its own has tells nothing of a release's members.
    """
    release = _release(version or "")
    if release is None:
        return []

    def distances(candidate: Candidate) -> set[int]:
        known = [found for build in candidate.builds if not build.own_options and (found := _release(build.version))]
        return {minor - release[1] for major, minor in known if major == release[0]}

    near = [(candidate, distances(candidate)) for candidate in candidates]
    every = set[int]().union(*(steps for _, steps in near))
    if 0 not in every and not {-1, 1} <= every:
        return []
    return [candidate for candidate, steps in near if steps & {-1, 0, 1}]


def loads(text: str) -> dict[str, list[Candidate]]:
    """Candidates by structure, from the text of a file of layouts."""
    document = json.loads(text)
    builds = [Build(**build) for build in document["builds"]]
    return {
        struct: [
            Candidate(
                StructLayout(struct, entry["size"], {path: Place(*place) for path, place in entry["members"].items()}),
                tuple(builds[number] for number in entry["builds"]),
            )
            for entry in entries
        ]
        for struct, entries in document["structs"].items()
    }


def by_build(text: str) -> list[tuple[Build, dict[str, StructLayout]]]:
    """The builds in the text of a file of layouts, in order, each with its own; what `dumps` takes."""
    candidates = loads(text)
    return [
        (build, {struct: one.layout for struct, known in candidates.items() for one in known if build in one.builds})
        for build in (Build(**each) for each in json.loads(text)["builds"])
    ]


def dumps(known: Sequence[tuple[Build, dict[str, StructLayout]]]) -> str:
    """The text of a file of layouts: each different layout once, builds by their number, one layout a line."""
    structs: dict[str, dict[str, dict[str, Any]]] = {}
    for number, (_, layouts) in enumerate(known):
        for struct, layout in sorted(layouts.items()):
            members = {path: _numbers(place) for path, place in sorted(layout.members.items())}
            key = json.dumps([layout.size, members])
            entry = structs.setdefault(struct, {}).setdefault(
                key, {"builds": [], "size": layout.size, "members": members}
            )
            entry["builds"].append(number)
    lines = [
        f'"{struct}":[\n' + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries.values()) + "\n]"
        for struct, entries in sorted(structs.items())
    ]
    builds = ",\n".join(json.dumps(build.document) for build, _ in known)
    return f'{{"format":"{FORMAT}",\n"builds":[\n{builds}\n],\n"structs":{{\n' + ",\n".join(lines) + "\n}}\n"


def _numbers(place: Place) -> list[int]:
    whole = [place.offset, place.size, place.bit, place.bits]
    return whole if place.bits else whole[:2]


def _release(version: str) -> tuple[int, int] | None:
    match = VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else None
