"""A real Xen crashes: what kexec leaves of it, in every form, holds what Xen said just before."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from inspector.analysis.irqs import interrupts
from inspector.audit import audit
from inspector.capture.inspection import Inspection
from inspector.lab import Missing
from inspector.lab.crash import LOADER, tools
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.model.snapshot import CRASHED, Snapshot
from inspector.targets.open_file import open_file
from inspector.targets.recorded.recorded import RecordedTarget
from tests.live.started import started

pytestmark = pytest.mark.live

FIRST_MSI = 24
"""Entries below are IO-APIC pins', which the crash rewrites."""


@dataclass(frozen=True)
class Crash:
    dump: Path
    said: Path
    symbols: Path | None


@pytest.fixture(scope="module", params=["4.20", "4.17"])
def crash(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    unavailable: Callable[[object], NoReturn],
) -> Crash:
    """One crash of each version, for all tests."""
    directory = tmp_path_factory.mktemp("crash")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(directory / "state"))
        try:
            lab = started(Recipe(xen=request.param, crash=True, dom0=True))
        except Missing as error:
            unavailable(error)
        with lab:
            said = directory / "keys.log"
            said.write_text("".join(lab.keys(key, timeout=60) for key in "Vi"))
            lab.crash(directory / "vmcore", "raw")
        assert Lab.all() == []
    return Crash(directory / "vmcore", said, lab.symbols)


def look(path: Path, symbols: Path | None) -> Snapshot:
    with open_file(path) as target:
        assert list(target.warnings) == []
        return Inspection(target, symbols=str(symbols) if symbols else None).snapshot


def messages(snapshot: Snapshot) -> dict[int, bytes]:
    (unit,) = snapshot.units
    rows = (unit.raw[at : at + 16] for at in range(0, len(unit.raw), 16))
    return {index: raw for index, raw in zip(unit.indices, rows, strict=True) if index >= FIRST_MSI}


def pins(snapshot: Snapshot) -> dict[int, tuple[object, ...]]:
    """Of each irq that has a pin: the pin, the index, the vector, who takes it."""
    found = (each for each in interrupts(snapshot) if each.irq is not None and each.pin)
    return {
        each.irq: (each.pin.ioapic, each.pin.pin, each.index, each.vector, [(g.domain, g.pirq) for g in each.guests])
        for each in found
        if each.irq is not None and each.pin
    }


def test_the_messages_are_what_xen_said_before(crash: Crash) -> None:
    with open_file(crash.said) as log:
        assert isinstance(log, RecordedTarget)
        before = messages(log.snapshot)
    assert len(before) >= 6
    assert messages(look(crash.dump, crash.symbols)) == before


def test_pins_are_joined_with_irqs_though_the_crash_overwrote_their_entries(crash: Crash) -> None:
    with open_file(crash.said) as log:
        assert isinstance(log, RecordedTarget)
        before = pins(log.snapshot)
    assert len(before) >= 10
    assert pins(look(crash.dump, crash.symbols)) == before


def test_a_healthy_machine_that_was_crashed_has_no_finding(crash: Crash) -> None:
    snapshot = look(crash.dump, crash.symbols)
    assert audit(snapshot) == []
    assert snapshot.problems == ()
    assert (len(snapshot.online), snapshot.intremap) == (2, True)
    assert CRASHED in {cpu.mode for cpu in snapshot.cpus}


def made(version: str, *options: str) -> list[object]:
    return [pytest.param(version, each, id=f"{version} {each}") for each in options]


# Each is made of the dump, by Debian 13's makedumpfile, which has every compression; Debian 12's lacks snappy and zstd.
@pytest.mark.parametrize(
    ("crash", "options"),
    made("4.20", "-c", "-l", "-p", "-z", "-E", "-F -E", "-F -c", "-c --split") + made("4.17", "-z", "-F -l"),
    indirect=["crash"],
)
def test_every_form_holds_the_same(crash: Crash, tmp_path: Path, options: str) -> None:
    directory = tools(lambda line: None)
    program = [str(directory / "lib" / LOADER), "--library-path", str(directory / "lib")]
    words = [*program, str(directory / "bin" / "makedumpfile"), "-X", "-d", "1", *options.split(), str(crash.dump)]
    made = tmp_path / "made"
    if "-F" in words:
        with made.open("wb") as file:
            subprocess.run(words, stdout=file, stderr=subprocess.DEVNULL, check=True)
    else:
        several = [str(made), str(tmp_path / "more")] if "--split" in words else [str(made)]
        subprocess.run([*words, *several], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    whole, other = look(crash.dump, crash.symbols), look(made, crash.symbols)
    assert messages(other) == messages(whole)
    assert (other.cpus, other.domains, other.vcpus, other.lists, other.msis, other.pins) == (
        *(whole.cpus, whole.domains, whole.vcpus, whole.lists, whole.msis, whole.pins),
    )
    assert audit(other) == []
