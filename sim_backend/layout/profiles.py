"""The profiles that a machine can be laid out by: those that come with vtdpi, or the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from sim_backend.memory.errors import SimError
from structs.xen import named as profiles
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

DEFAULT = "4.20"

PLACES: list[Callable[[], Iterator[Profile]]] = [profiles.bundled]
"""Where profiles are looked for. Who runs the machine may add a place, such as the user's cache."""


def named(name: str = DEFAULT) -> Profile:
    """The newest profile of that name, or that of a file (see `structs.xen.named`).

    Raises:
        SimError: there is none.
    """
    if profiles.is_file_name(name):
        try:
            return profiles.of_file(name)
        except ProfileError as error:
            raise SimError(str(error)) from None
    # The bundled ones come first: they are enough for most names, and no other place is then read.
    for place in PLACES:
        if found := profiles.matching(name, place()):
            return found[0]
    versions = ", ".join(sorted({profile.version for profile in chain(*(place() for place in PLACES))}))
    raise SimError(f"no bundled profile is called {name!r}; there are {versions}; a file's name ends in .json")
