"""The profiles that come with vtdpi, and which ones a name means: the same for a simulated, a live and a dumped Xen.

A name is a file's (it ends in `.json`, or has a slash), a version or its beginning (`4.20` for 4.20.3 and 4.20.4, not
for 4.2), or the beginning of a build-id. Of several, the newest comes first.

>>> [profile.version.partition("+")[0] for profile in matching("4.20", bundled())]
['4.20.4', '4.20.3']
>>> matching("4.2", bundled())
[]
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

if TYPE_CHECKING:
    from structs.xen.isf import Kernel

SUFFIX = ".json"
LARGEST = 64 << 20
"""Bytes of a profile: volatility3's whole ones have some 20 MiB."""


@lru_cache(maxsize=1)
def bundled_files() -> dict[str, Path]:
    """The bundled profiles' files by build-id."""
    folder = Path(__file__).with_name("profiles")
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


@lru_cache(maxsize=16)
def load_bundled(path: Path) -> Profile:
    """A bundled profile."""
    return Profile(json.loads(path.read_bytes()))


def bundled() -> Iterator[Profile]:
    """The bundled profiles."""
    return map(load_bundled, bundled_files().values())


def is_file_name(name: str) -> bool:
    """Whether a name is a file's."""
    return name.endswith(SUFFIX) or os.sep in name


def of_file(path: str | os.PathLike[str], kernel: Kernel = "xen") -> Profile:
    """The profile of a kernel in an ISF file. Raises ProfileError if it cannot be read, or is none."""
    from structs.xen import isf

    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise ProfileError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > LARGEST:
        raise ProfileError(f"{path}: not a profile: it has more than {LARGEST >> 20} MiB")
    try:
        return Profile(isf.loads(raw, kernel))
    except ProfileError as error:
        remedy = "; make one with: vtdpi profile make XEN_SYMS" if kernel == "xen" else ""
        raise ProfileError(f"{path}: not a profile: {error}{remedy}") from None


def matching(name: str, known: Iterable[Profile]) -> list[Profile]:
    """The profiles that a version, or its beginning, or the beginning of a build-id names, the newest first."""
    profiles = list(known)
    begins = re.compile(re.escape(name) + r"(?!\d)")
    found = [profile for profile in profiles if name and begins.match(profile.version)]
    found = found or [profile for profile in profiles if name and profile.build_id.startswith(name.lower())]
    return sorted(found, key=age, reverse=True)


def age(profile: Profile) -> list[int]:
    """The numbers of a profile's version, by which newer ones come after older ones."""
    return [int(number) for number in re.findall(r"\d+", profile.version.partition("-")[0])]
