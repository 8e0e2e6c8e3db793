"""The running labs of all kinds."""

from __future__ import annotations

from inspector.lab import LabError
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.lab import Lab

AnyLab = Lab | HvmLab


def running() -> list[AnyLab]:
    """The running labs, by name. What dead ones left behind is removed."""
    return sorted([*Lab.all(), *HvmLab.all()], key=lambda lab: lab.name)


def find(name: str = "") -> AnyLab:
    """The running lab of that name, or the only one.

    Raises:
        LabError: there is none, or no name was given and there are several.
    """
    labs = running()
    names = ", ".join(lab.name for lab in labs) or "none"
    if not name and len(labs) > 1:
        raise LabError(f"several labs are running: name one of {names}")
    for lab in labs:
        if name in ("", lab.name):
            return lab
    raise LabError(f"no lab {name} is running (running: {names})" if name else "no lab is running: `vtdpi lab up`")


def find_hvm(name: str = "") -> HvmLab:
    """The running HVM lab of that name, or the only one. Raises LabError."""
    labs = HvmLab.all()
    found = [lab for lab in labs if name in ("", lab.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(lab.name for lab in labs) or "none"
    if name:
        raise LabError(f"no HVM lab {name} is running (running: {names}); start one with `vtdpi lab up --hvm`")
    raise LabError(f"which HVM lab? running: {names}" if labs else "no HVM lab is running: `vtdpi lab up --hvm`")
