"""The profiles that a machine can be laid out by: those that come with vtdpi, or the user's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from sim_backend.memory.errors import SimError
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

DEFAULT = "4.20"
SUFFIX = ".json"
LARGEST = 64 << 20
"""Bytes of a file: more is no profile."""


def named(name: str = DEFAULT) -> Profile:
    """The newest bundled profile whose version or build-id begins with `name`, or that of a file.

    Raises:
        SimError: there is none.
    """
    if name.endswith(SUFFIX):
        return _foreign(Path(name))
    matches = [profile for profile in _all() if profile.version.startswith(name) or profile.build_id.startswith(name)]
    if not matches:
        versions = ", ".join(sorted(profile.version for profile in _all()))
        raise SimError(f"no bundled profile is called {name!r}; there are {versions}; a file's name ends in {SUFFIX}")
    return max(matches, key=_age)


def _age(profile: Profile) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", profile.version.partition("-")[0])]


def _all() -> Iterator[Profile]:
    folder = Path(str(files("structs.xen") / "profiles"))
    return map(_load, folder.glob(f"*{SUFFIX}"))


@lru_cache(maxsize=16)
def _load(path: Path) -> Profile:
    return Profile(json.loads(path.read_bytes()))


def _foreign(path: Path) -> Profile:
    from structs.xen import isf

    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise SimError(f"{path} is no profile: it has more than {LARGEST >> 20} MiB")
        return Profile(isf.loads(raw))
    except (OSError, ValueError) as error:
        raise SimError(f"profile {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except ProfileError as error:
        raise SimError(f"{path} is no profile: {error}; make one with: vtdpi profile make XEN_SYMS") from None
