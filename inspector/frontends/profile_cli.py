"""`vtdpi profile` and its own commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from inspector.base import streams
from inspector.base.arguments import NoArguments, argument, flag, option
from inspector.base.foreign_text import visible
from inspector.base.wrapping import wrapped
from inspector.frontends.front_end import front_end, group
from structs.frozen import frozen


@frozen
class MakeOptions:
    """What `profile make` takes."""

    symbols: Path = argument("unstripped Xen image, with DWARF", metavar="XEN_SYMS")
    types: str | None = option("take the layouts from this profile, for a xen-syms without DWARF", metavar="P")
    output: Path | None = option("write it there instead of the cache")


@frozen
class BundleOptions:
    """What `profile bundle` takes."""

    output: Path = argument("the file to write: structs/xen/layouts.json")
    builds: tuple[str, ...] = argument(
        "a xen-syms with DWARF or a profile, and where it came from", metavar="BUILD=ORIGIN"
    )
    add: bool = flag("beside the builds that FILE holds already")
    own_options: bool = flag("the builds named have options that shift members (CONFIG_DEBUG, no LIVEPATCH)")


@frozen
class ShowOptions:
    """What `profile show` takes."""

    name: str = argument("a file, a version, or the start of a build-id", metavar="P")


def _make(options: MakeOptions) -> int:
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


def _bundle(options: BundleOptions) -> int:
    from inspector.base import new_file
    from inspector.profiles import dwarf, layouts
    from inspector.profiles import store as profiles
    from structs.xen.layout import of_profile

    known = layouts.by_build(options.output.read_text()) if options.add else []
    for word in options.builds:
        name, _, origin = word.partition("=")
        profile = profiles.named(name) if name.endswith(".json") else dwarf.make(Path(name))
        build = layouts.Build(profile.version, profile.build_id, origin, options.own_options)
        known = [other for other in known if other[0].build_id != build.build_id] + [(build, of_profile(profile))]
        print(visible(f"Xen {build.version}, build-id {build.build_id}: {origin}"))
    new_file.write(options.output, layouts.dumps(known))
    return 0


def _list(options: NoArguments) -> int:
    from inspector.profiles import store as profiles

    for profile in profiles.known():
        print(wrapped(visible(f"{profile.build_id}  Xen {profile.version}"), streams.width(sys.stdout)))
    return 0


def _show(options: ShowOptions) -> int:
    from inspector.profiles import store as profiles

    json.dump(profiles.named(options.name).document, sys.stdout, indent=1)
    print()
    return 0


FRONT_END = group(
    {
        "make": front_end(MakeOptions, _make, "make a profile from a xen-syms, and keep it"),
        "bundle": front_end(
            BundleOptions,
            _bundle,
            "(for maintainers) write the layouts of builds, by which one without a profile is read",
        ),
        "list": front_end(NoArguments, _list, "the known profiles"),
        "show": front_end(ShowOptions, _show, "print a profile (ISF JSON)"),
    }
)
