"""Golden captures turned into what a crash of the same machine leaves: the verdicts are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.audit import audit
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot
from inspector.targets.dump.elf_core import ElfCore
from structs.xen.named import bundled_files, load_bundled

BUILD = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"
GOLDEN = Path(__file__).parents[2] / "data/golden"
NAMES = sorted(path.name.removeprefix("xen-4.20.3-").removesuffix(".core.zst") for path in GOLDEN.glob("*.zst"))

Crashed = Callable[..., Path]


def look(path: Path) -> Snapshot:
    with ElfCore(path) as target:
        return Inspection(target).snapshot


@pytest.fixture
def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build's profile does not say where Xen keeps its APIC driver."""
    monkeypatch.delitem(load_bundled(bundled_files()[BUILD]).document["symbols"], "genapic")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cpu-offline-before-fixup"])
def test_the_verdict_is_the_same(golden: Callable[[str], Path], crashed: Crashed, name: str) -> None:
    before, after = look(golden(name)), look(crashed(name))
    assert [(f.rule, f.severity, f.subject) for f in audit(after)] == [
        (f.rule, f.severity, f.subject) for f in audit(before)
    ]
    assert [cpu.cpu for cpu in after.online] == [cpu.cpu for cpu in before.online]
    assert after.problems == before.problems
    assert after.x2apic == before.x2apic


@pytest.mark.parametrize("name", NAMES)
def test_destinations_tell_the_mode_where_the_driver_does_not(
    golden: Callable[[str], Path], crashed: Crashed, without_driver: None, name: str
) -> None:
    before, after = look(golden(name)), look(crashed(name))
    # With one CPU left, or no hook that writes NDST, every destination is APIC 0, which is the same in either form.
    assert after.x2apic == (before.x2apic and name not in ("cpu-offline-after-fixup", "hooks-not-installed"))


def test_a_cpu_that_was_about_to_go_offline_is_no_bug(crashed: Crashed) -> None:
    """Whether it was online is not known any more: the crash cleared that for all."""
    assert [finding for finding in audit(look(crashed("cpu-offline-before-fixup"))) if finding.severity == "bug"] == []


def test_xen_is_found_by_the_notes_alone(crashed: Crashed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the 2 MiB boundary below its image is not in the dump."""
    from inspector.xen import find

    path = crashed("lost-wakeup")
    monkeypatch.setattr(find, "_roots_by_build_id", lambda *_: iter(()))
    assert look(path).version


def test_what_a_reader_is_told(crashed: Crashed) -> None:
    corrected, notes = told(crashed("two-in-guest"))
    assert corrected == {"x2apic_enabled": 1}
    assert "IO-APIC" in notes[0]
    assert "x2APIC: its APIC driver is x2apic_" in notes[1]


def test_what_a_reader_is_told_without_the_driver(crashed: Crashed, without_driver: None) -> None:
    corrected, notes = told(crashed("two-in-guest"))
    assert corrected == {"x2apic_enabled": 1}
    assert "x2APIC: on by the destinations in its entries and descriptors" in notes[1]


def test_the_mode_is_not_known_where_nothing_tells(crashed: Crashed, without_driver: None) -> None:
    corrected, notes = told(crashed("cpu-offline-after-fixup"))
    assert corrected == {"x2apic_enabled": 0}
    assert any(note.startswith("x2APIC: not known, for no entry") for note in notes)


def told(path: Path) -> tuple[dict[str, int], list[str]]:
    """The variables that the crash changed, as they were, and the notes."""
    with ElfCore(path) as target:
        inspection = Inspection(target)
        assert inspection.xen
        return dict(inspection.xen.corrected), list(inspection.notes)
