"""Labs for the live tests: real Xens under real QEMUs, started when first asked for, at most two at a time.

Without QEMU, gdb or Debian's packages such a test is skipped; where the environment variable CI is set it fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import pytest

from inspector.base.errors import VtdpiError
from inspector.lab import Missing, xen
from inspector.lab.hvm import packages
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.hvm.machine import HvmRecipe
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.lab.xen import DEBIAN
from inspector.targets.live.qmp import Qmp
from tests.live.started import started

AT_ONCE = 2

T = TypeVar("T")


class Labs:
    """Labs by recipe: one that lives, runs and was not crowded out is used again.

    Args:
        unavailable: is told what is missing.
    """

    def __init__(self, unavailable: Callable[[object], NoReturn]) -> None:
        self._unavailable = unavailable
        self._running: dict[Recipe, tuple[Lab, object]] = {}

    def __call__(self, recipe: Recipe) -> Lab:
        """A lab that runs."""
        return self.prepared(recipe, lambda lab: lab)

    def prepared(self, recipe: Recipe, prepare: Callable[[Lab], T]) -> T:
        """What `prepare` made of a lab after its start."""
        found, result = self._running.pop(recipe, (None, None))
        if found and not _is_fit(found):
            found.down()
            found = None
        while not found and len(self._running) >= AT_ONCE:
            self._running.pop(next(iter(self._running)))[0].down()
        if not found:
            try:
                found = started(recipe, _tell)
            except Missing as error:
                self._unavailable(error)
            result = prepare(found)
        self._running[recipe] = found, result
        return cast(T, result)


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[object], NoReturn]) -> Iterator[Labs]:
    """Call it with a recipe for a lab that runs."""
    if not shutil.which("gdb"):
        unavailable("gdb is missing: install the package gdb")
    with pytest.MonkeyPatch.context() as patch:
        # Labs of a test run are not among the user's.
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield Labs(unavailable)
        for one in Lab.all():
            one.down()


@pytest.fixture(scope="module")
def hvm_packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What HVM labs are made of is there. Without Debian's Bochs the test is skipped, loudly, also in CI."""
    try:
        packages.programs(_tell)
        xen.debian("4.20", _tell)
    except Missing as error:
        warnings.warn(f"NO HVM LAB, none of its tests ran: {error}", stacklevel=1)
        pytest.skip(f"no HVM lab: {error}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("hvm-state")))
        yield
        for one in HvmLab.all():
            one.down()


@pytest.fixture(scope="module")
def hvm(hvm_packages: None) -> Callable[[HvmRecipe], HvmLab]:
    """Call it with a recipe for an HVM lab."""
    return lambda recipe: HvmLab.up(recipe, _tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


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


@dataclass(frozen=True)
class Posted:
    """A lab whose Xen has written posted-format entries.

    Each of `entries` has the `index` of the remapping-table entry, its guest `vector` and the physical address of its
    `descriptor`, and what that holds: `pir` (a list of vectors), `on`, `sn`, `nv`, `ndst`.
    """

    lab: Lab
    entries: list[dict[str, Any]]


POSTED_INDEXES = (0x19, 0x1A, 0x1B)
"""Vectors that dom0 hardly uses: e1000e's transmit and link-change ones, and virtio's for configuration changes."""
LINK_CHANGE = 0x1A
E1000E = {"vendor": 0x8086, "device": 0x10D3}


@pytest.fixture
def lab_posted(labs: Labs, xen_version: str) -> Posted:
    """Xen with a dom0, that believes in posting and has itself written some posted-format entries."""
    return labs.prepared(_believing(xen_version), _post)


@dataclass(frozen=True)
class Faulted:
    """A lab whose VT-d unit has recorded a remapping fault: entry `index`, asked for by device `source` (a BDF)."""

    lab: Lab
    index: int
    source: int
    reason: int


@pytest.fixture
def lab_faulted(labs: Labs) -> Faulted:
    """A fault that QEMU 10 recorded: an interrupt through a posted entry with URG=1, a bit that QEMU holds reserved."""
    recipe = replace(_believing("4.20"), qemu="trixie")
    return labs.prepared(recipe, lambda lab: _fault(_post(lab).lab))


def _believing(xen_version: str) -> Recipe:
    return Recipe(xen=xen_version, dom0=True, stopped=True, append="iommu=intpost")


def _post(lab: Lab) -> Posted:
    _write(lab, "believe")
    lab.wait()
    assert "Posted Interrupt enabled" in lab.console.read_text()
    return Posted(lab, _write(lab, "post", POSTED_INDEXES))


def _fault(lab: Lab) -> Faulted:
    _write(lab, "urge", [LINK_CHANGE])
    with Qmp(lab.control) as qmp:
        devices = [device for bus in qmp.execute("query-pci") for device in bus["devices"]]
    (nic,) = (device for device in devices if E1000E.items() <= device["id"].items())
    _write(lab, "interrupt", nic=nic["regions"][0]["address"])
    deadline = time.monotonic() + 30
    while "reason 24" not in (text := lab.console.read_text()):
        assert time.monotonic() < deadline, f"no fault reported: {text[-500:]}"
        time.sleep(0.05)
    return Faulted(lab, LINK_CHANGE, source=nic["slot"] << 3 | nic["function"], reason=0x24)


MEMBERS = {
    "acpi_drhd_unit": ("list", "iommu"),
    "irq_desc": ("msi_desc",),
    "msi_desc": ("dev", "gvec", "msg", "pi_desc", "remap_index"),
    "msi_msg": (),
    "vtd_iommu": ("cap", "intremap.maddr"),
}


def _write(lab: Lab, stage: str, indexes: Sequence[int] = (), nic: int = 0) -> Any:
    """Run a stage of write_posted.py in gdb on a lab; its answer."""
    from inspector.profiles import store as profiles

    assert lab.symbols
    profile = profiles.of_symbols(lab.symbols)
    layout = {
        name: {"size": profile.size(name), **{member: profile.offset(name, member) for member in members}}
        for name, members in MEMBERS.items()
    }
    answer = lab.console.with_name("answer.json")
    job = {"gdb": lab.gdb, "stage": stage, "indexes": indexes, "nic": nic, "layout": layout, "answer": str(answer)}
    script = Path(__file__).with_name("write_posted.py")
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-ex", f"file {lab.symbols}", "-x", str(script)],
        env={**os.environ, "VTDPI_JOB": json.dumps(job)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.exists(), f"{stage}: {done.stderr}"
    return json.loads(answer.read_text())


def _is_fit(lab: Lab) -> bool:
    """Whether a lab is as the next test may expect: alive and running."""
    try:
        with Qmp(lab.control) as qmp:
            return bool(qmp.execute("query-status")["running"])
    except VtdpiError:
        return False
