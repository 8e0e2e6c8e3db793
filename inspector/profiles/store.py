"""Where profiles are kept: the bundled ones, the user's cache, and the files that the user names.

The cache is only ever a shorter way: what is bundled comes first, and an entry that was cut, changed, made for another
list of structures or put under another build's name is as if it were not there, until it is made again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from inspector.base import new_file, xdg
from inspector.base.errors import VtdpiError
from structs.xen import named as profiles
from structs.xen import profile_contents
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

SUFFIX = ".profile"
MAGIC = "vtdpi cached profile"
FORMAT = 1
"""Grows when a profile of the same structures would be made otherwise."""
BUILD_ID = re.compile("([0-9a-f]{2}){1,64}")


def cache_dir() -> Path:
    """Where made profiles are kept (`$XDG_CACHE_HOME/vtdpi/profiles`). Raises NoHome."""
    return xdg.cache() / "profiles"


def by_build_id(build_id: str) -> Profile | None:
    """The known profile of a build: the bundled one, or else the cache's."""
    bundled = profiles.bundled_files().get(build_id)
    if bundled:
        return profiles.load_bundled(bundled)
    return _cached(build_id)


def known() -> Iterator[Profile]:
    """Every known profile once, the bundled ones first; what is wrong in the cache is passed over."""
    bundled = profiles.bundled_files()
    yield from map(profiles.load_bundled, bundled.values())
    for build_id in _cached_ids():
        if build_id not in bundled and (profile := _cached(build_id)):
            yield profile


def of_symbols(xen_syms: Path) -> Profile:
    """The profile of a xen-syms: a known one of the same build-id, else made from its DWARF and cached.

    Raises:
        VtdpiError: as `inspector.profiles.dwarf.make`.
    """
    from inspector.profiles import dwarf

    profile = by_build_id(dwarf.build_id_of(xen_syms))
    if profile is None:
        profile = dwarf.make(xen_syms)
        store(profile)
    return profile


def named(name: str) -> Profile:
    """The newest profile that the user names. Raises as `all_named`."""
    return all_named(name)[0]


def all_named(name: str) -> list[Profile]:
    """The profiles that the user names, the newest first (see `structs.xen.named`). There is at least one.

    Raises:
        VtdpiError: there is none.
    """
    if profiles.is_file_name(name):
        return [_foreign(name)]
    if found := profiles.matching(name, known()):
        return found
    if os.path.isfile(name):
        return [_foreign(name)]
    versions = ", ".join(sorted(profile.version for profile in known()))
    raise VtdpiError(
        f"no profile file and no known profile is called {name!r}; known are {versions}; "
        "make one with: vtdpi profile make XEN_SYMS"
    )


def _foreign(path: str) -> Profile:
    try:
        return profiles.of_file(path)
    except ProfileError as error:
        raise VtdpiError(str(error)) from None


def store(profile: Profile) -> Path | None:
    """Keep a profile in the cache; None if the place is not writable (a profile is cheap to make again)."""
    body = json.dumps(profile.document, separators=(",", ":"), sort_keys=True).encode()
    try:
        path = _place(profile.build_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        new_file.write(path, _head(body) + body)
    except (OSError, new_file.NotWritten, xdg.NoHome):
        return None
    return path


def _head(body: bytes) -> bytes:
    """The first line of a cache file: what format, made for which structures, and the hash of what follows."""
    wanted = blake2b(repr((profile_contents.STRUCTS, profile_contents.SYMBOLS)).encode(), digest_size=8).hexdigest()
    return f"{MAGIC} {FORMAT} {wanted} {blake2b(body, digest_size=32).hexdigest()}\n".encode()


def _place(build_id: str) -> Path:
    assert BUILD_ID.fullmatch(build_id)
    return cache_dir() / f"{build_id}{SUFFIX}"


def _cached_ids() -> list[str]:
    try:
        names = os.listdir(cache_dir())
    except (OSError, xdg.NoHome):
        return []
    return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))


def _cached(build_id: str) -> Profile | None:
    """A whole and current entry of the cache."""
    if not BUILD_ID.fullmatch(build_id):
        return None
    try:
        path = _place(build_id)
        seen = path.stat()
    except (OSError, xdg.NoHome):
        return None
    return _entry(path, build_id, seen.st_mtime_ns, seen.st_size)


@lru_cache(maxsize=64)
def _entry(path: Path, build_id: str, changed: int, size: int) -> Profile | None:
    if size > profiles.LARGEST:
        return None
    try:
        head, newline, body = path.read_bytes().partition(b"\n")
        profile = Profile(json.loads(body)) if head + newline == _head(body) else None
    except (OSError, ValueError, RecursionError, ProfileError):
        return None
    return profile if profile and profile.build_id == build_id else None
