"""The profiles of Linux builds that come with vtdpi: what a simulated Linux is laid out by.

>>> of_release("6.12").version.partition("+")[0]
'6.12.117'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from structs.frozen import frozen
from structs.xen.errors import ProfileError
from structs.xen.named import is_file_name, of_file
from structs.xen.profile import Profile


@lru_cache(maxsize=8)
def of_release(release: str) -> Profile:
    """The profile of a release, or of the newest that begins so (`6.12`, not `6.1` for it); or that of a file.

    Raises:
        ProfileError: there is none.
    """
    if is_file_name(release):
        return of_file(release, "linux")
    files = sorted(Path(__file__).with_name("profiles").glob("*.json"), key=lambda file: _numbers(file.stem))
    begins = re.compile(re.escape(release) + r"(?!\d)")
    found = [file for file in files if begins.match(file.stem)]
    if not release or not found:
        known = ", ".join(file.stem for file in files)
        raise ProfileError(f"no bundled profile of a Linux is called {release!r}; there are {known}")
    return Profile(json.loads(found[-1].read_bytes()))


@frozen
class ModuleContents:
    """What a profile has of a module: its structures; where in its per-CPU section variables are; other variables."""

    types: frozenset[str]
    per_cpu: Mapping[str, int]
    variables: tuple[str, ...]


def module_contents(profile: Profile, module: str) -> ModuleContents:
    """What a profile has of a module. Raises ProfileError if it knows no such module."""
    try:
        found = profile.document["metadata"]["linux"]["modules"][module]
        return ModuleContents(frozenset(found["types"]), found["per_cpu"], tuple(found["variables"]))
    except KeyError:
        raise ProfileError(f"the profile of {profile.name} tells nothing of a module {module}") from None


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
