"""The profiles that come with vtdpi, for the machine that is to be laid out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

from sim_backend.errors import SimError
from structs.xen.profile import Profile

DEFAULT = "4.20"


def bundled(name: str = DEFAULT) -> Profile:
    """The bundled profile whose version or build-id begins with `name`.

    Raises:
        SimError: there is none, or several.
    """
    matches = [profile for profile in _all() if profile.version.startswith(name) or profile.build_id.startswith(name)]
    if len(matches) != 1:
        versions = ", ".join(sorted(profile.version for profile in _all()))
        what = "several bundled profiles are" if matches else "no bundled profile is"
        raise SimError(f"{what} called {name!r}; there are {versions}")
    return matches[0]


def _all() -> Iterator[Profile]:
    folder = files("structs.xen") / "profiles"
    return (_load(entry.name) for entry in folder.iterdir() if entry.name.endswith(".json"))


@lru_cache(maxsize=16)
def _load(name: str) -> Profile:
    return Profile(json.loads((files("structs.xen") / "profiles" / name).read_bytes()))
