"""Where profiles are kept: the bundled ones, the user's cache, and the files that the user names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from inspector.base.errors import VtdpiError
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile


def cache_dir() -> Path:
    """Where made profiles are kept (`$XDG_CACHE_HOME/vtdpi/profiles`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vtdpi" / "profiles"


def by_build_id(build_id: str) -> Profile | None:
    """The known profile of a build, from the cache or the bundled ones."""
    for path in _paths():
        if path.stem == build_id:
            return _load(path)
    return None


def known() -> Iterator[Profile]:
    """Every known profile once, the user's own first; a damaged cache file is passed over."""
    seen = set()
    for path in _paths():
        if path.stem not in seen:
            seen.add(path.stem)
            try:
                yield _load(path)
            except VtdpiError:
                continue


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
    """The profile that the user names: an ISF file, or the version or start of the build-id of a known one.

    Raises:
        VtdpiError: there is none, or several.
    """
    if Path(name).is_file():
        return _load(Path(name))
    matches = [profile for profile in known() if profile.version == name or profile.build_id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    versions = ", ".join(sorted(profile.version for profile in matches or known()))
    what = "several profiles match" if matches else "no profile file and no known profile is called"
    raise VtdpiError(f"{what} {name!r}; known are {versions}; make one with: vtdpi profile make XEN_SYMS")


def store(profile: Profile) -> Path | None:
    """Keep a profile in the cache; None if the place is not writable (a profile is cheap to make again)."""
    path = cache_dir() / f"{profile.build_id}.json"
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(profile.document, separators=(",", ":"), sort_keys=True))
        partial.replace(path)
    except OSError:
        return None
    return path


def _paths() -> Iterator[Path]:
    yield from sorted(cache_dir().glob("*.json"))
    yield from sorted(path for path in Path(str(files("structs.xen") / "profiles")).glob("*.json"))


@lru_cache(maxsize=16)
def _load(path: Path) -> Profile:
    try:
        return Profile(json.loads(path.read_bytes()))
    except OSError as error:
        raise VtdpiError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, ProfileError) as error:
        raise VtdpiError(f"{path}: not a profile: {error}; make one with: vtdpi profile make XEN_SYMS") from None
