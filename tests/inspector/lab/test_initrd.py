"""What a lab's directory gets for its dom0. That Linux starts from it: tests/live/test_lab.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.lab import LabError, cpio, crash, initrd, silent
from inspector.lab.boot import DOM0_READY, LINUX_READY
from inspector.lab.machine import Recipe


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel as `kernel` unpacks it, and what was asked of it."""
    place = tmp_path / "parts"
    (place / "modules").mkdir(parents=True)
    (place / "vmlinux").write_bytes(b"\x7fELF a kernel")
    (place / "busybox").write_bytes(b"\x7fELF busybox")
    for name in ("02-virtio_blk.ko", "10-e1000e.ko", "01-virtio.ko"):
        (place / "modules" / name).write_bytes(name.encode())
    monkeypatch.setattr(initrd, "kernel", lambda say, more: place)
    return place


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    place = tmp_path / "lab"
    place.mkdir()
    return place


def unpacked(archive: Path, place: Path) -> Path:
    """The archive as cpio reads it."""
    if not shutil.which("cpio"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no cpio is here to read the archive: install it")
    place.mkdir()
    words = ["cpio", "-i", "-d", "--quiet", "--no-preserve-owner", "--nonmatching", "dev/console"]
    done = subprocess.run(words, cwd=place, input=archive.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_without_a_dom0_zeros_stand_in_for_the_kernel(lab: Path) -> None:
    """And nothing is downloaded for it."""
    assert initrd.write(lab, Recipe(), silent) == "no-kernel"
    assert [path.name for path in lab.iterdir()] == ["no-kernel"]
    assert (lab / "no-kernel").read_bytes() == bytes(4096)


def test_a_dom0_has_a_kernel_a_root_and_a_disk(lab: Path, parts: Path, tmp_path: Path) -> None:
    assert initrd.write(lab, Recipe(dom0=True), silent) == "vmlinux console=hvc0 quiet panic=0,initrd"
    assert (lab / "vmlinux").resolve() == parts / "vmlinux"
    assert (lab / "disk").stat().st_size == 1 << 20
    assert not (lab / crash.DISK).exists()
    root = unpacked(lab / "initrd", tmp_path / "root")
    names = {path.relative_to(root).as_posix() for path in root.rglob("*")}
    modules = {f"modules/{path.name}" for path in (parts / "modules").iterdir()}
    assert names == {"init", "busybox", "proc", "sys", "dev", "modules"} | modules
    assert (root / "busybox").read_bytes() == (parts / "busybox").read_bytes()
    assert (root / "init").stat().st_mode & 0o777 == (root / "busybox").stat().st_mode & 0o777 == 0o755
    assert all((root / name).read_bytes() == Path(name).name.encode() for name in modules)


def test_its_first_program_is_one_that_a_shell_reads(lab: Path, parts: Path, tmp_path: Path) -> None:
    initrd.write(lab, Recipe(dom0=True), silent)
    script = unpacked(lab / "initrd", tmp_path / "root") / "init"
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/busybox sh"
    # It says so last, before it sleeps for good: what comes before has its interrupts in use then.
    assert lines[-2] == f'echo "{DOM0_READY}"'
    assert "${net##*/}" in script.read_text()


def test_one_that_crashes_has_a_crash_kernel_too(
    lab: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(initrd, "kernel", lambda say, more: asked.append(more) or parts)
    monkeypatch.setattr(crash, "tools", lambda say: tmp_path / "tools")
    monkeypatch.setattr(crash, "entries", lambda tools, parts: [cpio.file("kexec", tools.name.encode(), 0o755)])
    initrd.write(lab, Recipe(dom0=True, crash=True), silent)
    assert asked == [crash.MODULES]
    assert (lab / crash.DISK).stat().st_size == crash.DISK_SIZE
    root = unpacked(lab / "initrd", tmp_path / "root")
    assert (root / "kexec").read_text() == "tools"
    init = (root / "init").read_text()
    assert crash.LOAD in init
    assert init.index(crash.LOAD) < init.index(DOM0_READY), "a lab is ready when its crash kernel is loaded"
    assert subprocess.run(["sh", "-n", root / "init"], check=False).returncode == 0


def test_a_kernel_that_cannot_be_had(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*words: object) -> Path:
        raise LabError("no network")

    monkeypatch.setattr(initrd, "kernel", missing)
    with pytest.raises(LabError, match="no network"):
        initrd.write(lab, Recipe(dom0=True), silent)
    assert list(lab.iterdir()) == []


def test_a_linux_of_its_own_says_all_of_its_interrupts(
    lab: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(initrd, "linux", lambda version, say, more: asked.append((version, more)) or parts)
    assert initrd.write_linux(lab, Recipe(linux="6.12"), silent) == "initrd"
    assert asked == [("6.12", ())]
    assert (lab / "vmlinuz").resolve() == parts / "vmlinuz"
    assert (lab / "disk").stat().st_size == 1 << 20
    script = unpacked(lab / "initrd", tmp_path / "root") / "init"
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    lines = script.read_text().splitlines()
    assert lines[-2] == f'echo "{LINUX_READY}"'
    assert "/busybox cat /proc/interrupts" in lines
    assert 'smp_affinity_list)," \\' in script.read_text()


def test_a_linux_with_a_vm_loads_kvm_and_starts_what_makes_it(
    lab: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(initrd, "linux", lambda version, say, more: asked.append(more) or parts)
    program = tmp_path / "program"
    program.write_bytes(b"makes a VM")
    assert initrd.write_linux(lab, Recipe(linux="6.12", guest=program), silent) == "initrd"
    assert asked == [("kvm_amd",)]
    root = unpacked(lab / "initrd", tmp_path / "root")
    assert (root / "guest").read_bytes() == b"makes a VM"
    assert (root / "guest").stat().st_mode & 0o111
    assert "/guest &" in (root / "init").read_text().splitlines()
