"""The packages that vtdpi needs, in gdb's own Python: compiled ones are made for one version of Python only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from inspector.base.errors import VtdpiError
from inspector.targets.live.gdb_inferior import uninterrupted

NEEDED = ("numpy", "construct", "rich", "elftools")
PROJECTS = {"elftools": "pyelftools"}

install_line = ""
"""The shell command that installs packages for gdb's Python; their names are to follow. `bootstrap.load` sets it."""


class Unfit(VtdpiError):
    """A package is missing from gdb's Python, or was made for another."""


def need() -> None:
    """Import what every command needs. Raises Unfit, which says what to install, all of it at once."""
    lacking = []
    with importing():
        for name in NEEDED:
            try:
                import_module(name)
            except ImportError:
                lacking.append(name)
    if lacking:
        raise unfit(*lacking)


@contextmanager
def importing() -> Iterator[None]:
    """Import packages in this block, so that gdb does not notice.

    numpy starts threads, which must not be the ones that take a Ctrl-C. construct imports pdb, and that Python's
    readline, which takes the one readline of the process away from gdb: completion breaks, or hangs.
    """
    hidden = "readline" not in sys.modules
    with uninterrupted():
        if hidden:
            sys.modules["readline"] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            if hidden:
                del sys.modules["readline"]


def unfit(*names: str) -> Unfit:
    """What to do about packages that cannot be imported, by the names that they are imported by."""
    projects = [PROJECTS.get(name, name) for name in names]
    version = "{}.{}".format(*sys.version_info)
    # A half-loaded package would not be looked for again.
    for module in [module for module in sys.modules if module.partition(".")[0] in names]:
        del sys.modules[module]
    what = "that fits it; install one for it" if len(names) == 1 else "that fit it; install them for it"
    return Unfit(
        f"gdb's Python {version} has no {' and no '.join(projects)} {what}: {install_line} {' '.join(projects)}"
    )
