"""The words of `vtdpi profile`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from inspector.base.foreign_text import visible


def add_arguments(parser: ArgumentParser) -> None:
    """Add the profile's own commands and their options."""
    words = parser.add_subparsers(dest="profile_command", required=True, metavar="COMMAND")
    make = words.add_parser("make", help="make a profile from a xen-syms, and keep it")
    make.add_argument("symbols", type=Path, metavar="XEN_SYMS", help="unstripped Xen image, with DWARF")
    make.add_argument("--types", metavar="P", help="take the layouts from this profile, for a xen-syms without DWARF")
    make.add_argument("--output", type=Path, metavar="FILE", help="write it there instead of the cache")
    bundle = words.add_parser(
        "bundle", help="(for maintainers) write the layouts of builds, by which one without a profile is read"
    )
    bundle.add_argument("output", type=Path, metavar="FILE", help="the file to write: structs/xen/layouts.json")
    bundle.add_argument(
        "builds", nargs="+", metavar="BUILD=ORIGIN", help="a xen-syms with DWARF or a profile, and where it came from"
    )
    bundle.add_argument("--add", action="store_true", help="beside the builds that FILE holds already")
    bundle.add_argument("--debug", action="store_true", help="the builds named are debug builds (CONFIG_DEBUG)")
    words.add_parser("list", help="the known profiles")
    show = words.add_parser("show", help="print a profile (ISF JSON)")
    show.add_argument("name", metavar="P", help="a file, a version, or the start of a build-id")


def run(options: Namespace) -> int:
    """Do what the words say; the exit status. Raises VtdpiError if it cannot be done."""
    return {"make": _make, "bundle": _bundle, "list": _list, "show": _show}[options.profile_command](options)


def _make(options: Namespace) -> int:
    from inspector.base import new_file
    from inspector.base.errors import VtdpiError
    from inspector.profiles import dwarf
    from inspector.profiles import store as profiles

    profile = dwarf.make(options.symbols, profiles.named(options.types) if options.types else None)
    path = options.output or profiles.store(profile)
    if options.output:
        text = json.dumps(profile.document, separators=(",", ":"), sort_keys=True) + "\n"
        new_file.write(options.output, text, keep=[options.symbols])
    if path is None:
        raise VtdpiError(f"{profiles.cache_dir()} cannot be written; name a file with --output")
    print(visible(f"Xen {profile.version}, build-id {profile.build_id}: {path}"))
    return 0


def _bundle(options: Namespace) -> int:
    from inspector.base import new_file
    from inspector.profiles import dwarf, layouts
    from inspector.profiles import store as profiles
    from structs.xen.layout import of_profile

    known = layouts.by_build(options.output.read_text()) if options.add else []
    for word in options.builds:
        name, _, origin = word.partition("=")
        profile = profiles.named(name) if name.endswith(".json") else dwarf.make(Path(name))
        build = layouts.Build(profile.version, profile.build_id, origin, options.debug)
        known = [other for other in known if other[0].build_id != build.build_id] + [(build, of_profile(profile))]
        print(visible(f"Xen {build.version}, build-id {build.build_id}: {origin}"))
    new_file.write(options.output, layouts.dumps(known))
    return 0


def _list(options: Namespace) -> int:
    from inspector.profiles import store as profiles

    for profile in profiles.known():
        print(visible(f"{profile.build_id}  Xen {profile.version}"))
    return 0


def _show(options: Namespace) -> int:
    from inspector.profiles import store as profiles

    json.dump(profiles.named(options.name).document, sys.stdout, indent=1)
    print()
    return 0
