"""Labs for the live tests: real Xens under real QEMUs, started when first asked for, at most two at a time.

Without QEMU, gdb or Debian's packages such a test is skipped; where the environment variable CI is set it fails.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from inspector.errors import VtdpiError
from inspector.lab import Missing
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.lab.xen import DEBIAN
from inspector.targets.qmp import Qmp

AT_ONCE = 2

Labs = Callable[[Recipe], Lab]


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    """Call it with a recipe for a lab that runs; the same one again while it lives, runs and is not crowded out."""
    if not shutil.which("gdb"):
        _unavailable("gdb is missing: install the package gdb")
    running: dict[Recipe, Lab] = {}

    def lab(recipe: Recipe) -> Lab:
        found = running.pop(recipe, None)
        if found and not _is_fit(found):
            found.down()
            found = None
        while not found and len(running) >= AT_ONCE:
            running.pop(next(iter(running))).down()
        try:
            running[recipe] = found or Lab.up(recipe, lambda line: print(line, file=sys.stderr))
        except Missing as error:
            _unavailable(str(error))
        return running[recipe]

    with pytest.MonkeyPatch.context() as patch:
        # Labs of a test run are not among the user's.
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield lab
        for one in Lab.all():
            one.down()


@pytest.fixture(scope="session", params=sorted(DEBIAN))
def xen_version(request: pytest.FixtureRequest) -> str:
    """Each Xen release that the lab has; tests are ordered by it."""
    return str(request.param)


@pytest.fixture
def lab_xen(labs: Labs, xen_version: str) -> Lab:
    """Xen alone: its interrupt remapping is set up, then it halted for want of a dom0. It answers no debug key."""
    return labs(Recipe(xen=xen_version))


@pytest.fixture
def lab_dom0(labs: Labs, xen_version: str) -> Lab:
    """Xen with a Linux dom0 and two devices that use MSI-X. It answers debug keys."""
    return labs(Recipe(xen=xen_version, dom0=True))


@pytest.fixture
def lab_qemu10(labs: Labs) -> Lab:
    """Xen and dom0 on Debian 13's QEMU with 32-bit destinations; this QEMU records remapping faults."""
    return labs(Recipe(xen="4.20", dom0=True, qemu="trixie", eim=True))


def _is_fit(lab: Lab) -> bool:
    """Whether a lab is as the next test may expect: alive and running."""
    try:
        with Qmp(lab.control) as qmp:
            return bool(qmp.execute("query-status")["running"])
    except VtdpiError:
        return False


def _unavailable(why: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
